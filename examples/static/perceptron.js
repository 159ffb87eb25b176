const canvas = document.querySelector("#board");
const context = canvas.getContext("2d");
const orange = document.querySelector("#orange");
const status = document.querySelector("#status");
let points = [];
let weights = [0, 0, 0];
let steps = 0;

const output = ([x, y]) => weights[0] + weights[1] * x + weights[2] * y;

function learn() {
  const wrong = points.filter((p) => p.label * output(p.at) <= 0);
  if (!wrong.length) return false;
  const { at, label } = wrong[Math.floor(Math.random() * wrong.length)];
  weights = [weights[0] + label * 0.5, weights[1] + label * at[0], weights[2] + label * at[1]];
  steps += 1;
  return true;
}

function draw() {
  const { width, height } = canvas;
  const cell = 12;
  for (let x = 0; x < width; x += cell) {
    for (let y = 0; y < height; y += cell) {
      const side = output([(x + cell / 2) / width - 0.5, (y + cell / 2) / height - 0.5]);
      context.fillStyle = !points.length ? "#8882" : side > 0 ? "#3b82f633" : "#f9731633";
      context.clearRect(x, y, cell, cell);
      context.fillRect(x, y, cell, cell);
    }
  }
  for (const { at, label } of points) {
    context.beginPath();
    context.arc((at[0] + 0.5) * width, (at[1] + 0.5) * height, 7, 0, 7);
    context.fillStyle = label > 0 ? "#2563eb" : "#ea580c";
    context.fill();
  }
}

function tick() {
  let moving = false;
  for (let i = 0; i < 5; i += 1) moving = learn() || moving;
  if (moving) {
    status.textContent = `learning, step ${steps}`;
  } else if (points.length) {
    status.textContent = `separated after ${steps} steps`;
  }
  draw();
  requestAnimationFrame(tick);
}

canvas.addEventListener("click", (event) => {
  const box = canvas.getBoundingClientRect();
  const at = [(event.clientX - box.left) / box.width - 0.5, (event.clientY - box.top) / box.height - 0.5];
  points.push({ at, label: event.shiftKey || orange.checked ? -1 : 1 });
});
document.querySelector("#clear").addEventListener("click", () => {
  points = [];
  weights = [0, 0, 0];
  steps = 0;
  status.textContent = "";
});
tick();
