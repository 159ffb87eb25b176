// A log: its lines with their times and colours, what of them is searched for, and what comes by server-sent events,
// unless it is paused. The server replays the log from its start, so a new connection skips what is here already.
(() => {
  const place = document.querySelector(".log");
  const state = document.querySelector("[data-log-state]");
  const search = document.querySelector("[data-log-search]");
  const found = document.querySelector("[data-log-found]");
  const pause = document.querySelector("[data-log-pause]");
  const MOST = 5000;
  const ansi = new window.AnsiUp();
  ansi.use_classes = true; // the page's policy refuses styles in attributes

  const matches = (line) => line.lastChild.textContent.toLowerCase().includes(search.value.toLowerCase());
  const line = (text, timestamp) => {
    const made = document.createElement("div");
    if (timestamp) {
      const at = new Date(timestamp);
      const time = document.createElement("time");
      time.dateTime = timestamp;
      time.title = at.toLocaleString();
      time.textContent = at.toLocaleTimeString([], { hour12: false });
      made.append(time);
    }
    const words = document.createElement("span");
    words.innerHTML = ansi.ansi_to_html(text.replace(/\n$/, "")); // it escapes what is HTML
    made.append(words);
    made.hidden = !matches(made);
    return made;
  };
  const count = () => {
    const lines = [...place.children];
    found.textContent = search.value ? `${lines.filter((one) => !one.hidden).length} of ${lines.length} lines` : "";
  };
  search.addEventListener("input", () => {
    for (const one of place.children) one.hidden = !matches(one);
    count();
  });

  if (!place.dataset.log) {
    const text = place.textContent;
    place.replaceChildren(...(text ? text.split("\n").map((one) => line(one)) : []));
    return;
  }

  let shown = 0; // entries of this log so far
  let skip = 0;
  let waiting = [];
  let frame = 0;
  let stamp = "";
  let lastSeen = "";
  let paused = false;
  let connection = "Connecting…";

  const say = () => {
    state.textContent = paused ? `Paused, ${waiting.length} more lines` : connection;
  };
  const flush = () => {
    frame = 0;
    if (paused) {
      say();
      return;
    }
    const atEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
    place.append(...waiting.map(([text, timestamp]) => line(text, timestamp)));
    waiting = [];
    while (place.childElementCount > MOST) place.firstChild.remove();
    count();
    if (atEnd) place.scrollTop = place.scrollHeight;
  };
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", paused);
    say();
    if (!paused) flush();
  });

  const source = new EventSource(place.dataset.log);
  source.addEventListener("open", () => {
    skip = shown;
    lastSeen = stamp;
    connection = "Live";
    say();
  });
  source.addEventListener("message", ({ data }) => {
    const entry = JSON.parse(data);
    if (skip > 0) {
      // Lines older than the newest one shown were here before, unless the log was begun anew.
      skip -= 1;
      if (entry.timestamp <= lastSeen) return;
      skip = 0;
    }
    shown += 1;
    stamp = entry.timestamp;
    waiting.push([entry.data, entry.timestamp]);
    if (waiting.length > MOST) waiting.shift();
    frame ||= requestAnimationFrame(flush);
  });
  source.addEventListener("error", () => {
    connection = source.readyState === EventSource.CLOSED ? "Not live: reload the page" : "Connecting again…";
    say();
  });
})();
