// The charts of the Statistics tab, and of a node in the console: fetched as JSON, drawn by uPlot, refreshed while the page is visible.
(() => {
  const place = document.querySelector("[data-statistics]");
  if (!place) return;
  const state = document.querySelector("[data-statistics-state]");
  const everyS = Number(place.dataset.every);

  // Colors come from the stylesheet's own values, so light and dark are its business.
  const probe = document.createElement("span");
  probe.hidden = true;
  place.append(probe);
  const color = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };

  const CHARTS = {
    line: { unit: (v) => String(v), whole: true, series: [
      ["pending", "Waiting", "warn", []], ["running", "Running", "accent", [6, 3]],
    ] },
    events: { unit: (v) => `${+v.toFixed(v < 10 ? 1 : 0)}`, series: [
      ["page", "Page", "accent", []], ["api", "Programs", "good", [8, 4]],
      ["refused", "Refused", "warn", [2, 3]], ["failed", "Failed", "bad", []],
    ] },
    wait: { unit: (v) => duration(v), series: [
      ["wait_p50_s", "p50", "accent", []], ["wait_p95_s", "p95", "warn", [6, 3]],
    ] },
    cores: { unit: (v) => String(+v.toFixed(2)), series: [["cores", "Cores", "accent", []]] },
    memory: { unit: (v) => gigabytes(v), series: [
      ["memory_gb", "Memory", "accent", []], ["disk_gb", "Disk", "soft", [6, 3]],
    ] },
    gpus: { unit: (v) => String(+v.toFixed(2)), series: [["gpus_busy", "GPUs", "accent", []]] },
    gpu_memory: { unit: (v) => gigabytes(v), series: [["gpu_memory_gb", "Memory", "accent", []]] },
  };
  const gigabytes = (v) => `${+v.toFixed(v < 10 ? 1 : 0)} GB`;
  const duration = (s) => {
    if (s === 0) return "0";
    if (s < 1) return `${Math.round(s * 1000)} ms`;
    if (s < 120) return `${+s.toFixed(s < 10 ? 1 : 0)} s`;
    return `${+(s / 60).toFixed(s < 600 ? 1 : 0)} min`;
  };
  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
  const moment = (at) => `${day.format(at * 1000)}, ${clock.format(at * 1000)}`;

  const figures = [...place.querySelectorAll("[data-chart]")];
  const plots = new Map();
  let series = null;
  let stepS = 60;

  const options = (chart, width) => {
    const axis = {
      stroke: color("soft"), font: "12px system-ui, sans-serif",
      grid: { stroke: color("line"), width: 1 }, ticks: { show: false },
    };
    const long = stepS >= 3600;
    return {
      width, height: width < 480 ? 190 : 240,
      cursor: { sync: { key: "statistics" }, drag: { x: false, y: false } },
      scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.08, chart.whole ? 2 : 0.01)] } },
      axes: [
        { ...axis, space: 64, values: (_, ats) => ats.map((at) => (long ? day : clock).format(at * 1000)),
          ...(long ? { incrs: [1, 2, 5, 7].map((days) => days * 86400) } : {}) },
        { ...axis, size: 56, values: (_, values) => values.map(chart.unit),
          ...(chart.whole ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 10000, 50000] } : {}) },
      ],
      series: [
        { label: "Time", value: (_, at) => (at === null ? "–" : moment(at)) },
        ...chart.series.map(([, label, name, dash]) => ({
          label, dash, stroke: color(name), width: 2, points: { size: 6, fill: color(name) },
          value: (_, v) => (v === null ? "–" : chart.unit(v)),
        })),
      ],
    };
  };
  const columns = (chart) => [series.time, ...chart.series.map(([name]) => series[name])];
  const summary = (chart) => chart.series.map(([name, label]) => {
    const known = series[name].filter((v) => v !== null);
    return `${label}: ${known.length ? `at most ${chart.unit(Math.max(...known))}` : "nothing measured"}`;
  }).join(". ");

  const draw = (anew) => {
    if (!series) return;
    for (const figure of figures) {
      const chart = CHARTS[figure.dataset.chart];
      const box = figure.querySelector("[role=img]");
      box.setAttribute("aria-label", summary(chart));
      if (anew) {
        plots.get(figure)?.destroy();
        plots.delete(figure);
      }
      const plot = plots.get(figure);
      if (plot) plot.setData(columns(chart));
      else if (box.clientWidth) plots.set(figure, new uPlot(options(chart, box.clientWidth), columns(chart), box));
    }
  };

  const refresh = async () => {
    try {
      const answer = await fetch(place.dataset.statistics, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const report = await answer.json();
      series = report.series;
      stepS = report.step_s;
      const any = Object.entries(series).some(([name, values]) => name !== "time" && values.some((v) => v > 0));
      place.hidden = !any;
      if (any) draw(false);
      state.textContent = everyS < 10 ? "Live" : "";
    } catch {
      state.textContent = "The figures could not be fetched; trying again.";
    }
  };

  let timer = 0;
  const goOn = async () => {
    clearTimeout(timer);
    if (!document.hidden) await refresh();
    timer = setTimeout(goOn, everyS * 1000);
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) goOn(); });

  let width = 0;
  new ResizeObserver(() => {
    if (place.clientWidth === width) return;
    width = place.clientWidth;
    draw(true);
  }).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(true));
  new MutationObserver(() => draw(true)).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  goOn();
})();
