// The live line above a demo: how many wait, this visitor's own place, and the moment the app comes or goes.
(() => {
  const line = document.querySelector("[data-queue]");
  if (!line) return;
  const text = line.querySelector("[data-queue-text]");
  const count = line.querySelector("[data-queue-count]");
  const fresh = line.querySelector("[data-queue-fresh]");
  const panel = document.getElementById("panel");

  const STAGES = {
    NO_APP_FILE: "Waiting for the first push",
    CONFIG_ERROR: "Stopped: an error in its README",
    BUILDING: "Building",
    BUILD_ERROR: "Stopped: the build failed",
    APP_STARTING: "Starting",
    RUNTIME_ERROR: "Stopped with an error",
    SLEEPING: "Asleep, waking up",
    PAUSED: "Paused by its owner",
    STOPPED: "Stopped",
    DELETING: "Being deleted",
  };
  const ENDED = {
    completed: "call is done",
    failed: "call failed: the app says why",
    cancelled: "call was cancelled",
  };

  let stage = line.dataset.stage;
  let status = null;
  let ended = null;
  let endedTimer = 0;
  const mine = new Map(); // event id -> its last place
  const earlier = new Set(); // event ids from before this page was loaded: `earlier.js` shows their results

  const running = (name) => name.startsWith("RUNNING");
  const ordinal = (n) => {
    const tens = n % 100;
    const ending = tens > 10 && tens < 14 ? "th" : ({ 1: "st", 2: "nd", 3: "rd" })[n % 10] ?? "th";
    return `${n}${ending}`;
  };
  const span = (seconds, round) => {
    if (seconds < 90) {
      const step = seconds < 10 ? 1 : 5;
      return `${Math.max(round(seconds / step) * step, step)} s`;
    }
    return seconds < 5400 ? `${round(seconds / 60)} min` : `${round(seconds / 3600)} h`;
  };
  // "about" to the nearest, "at most" upwards: the promise must hold as it is read.
  const about = ({ eta, eta_max: most }) => {
    if (eta === null || eta === undefined) return " · time unknown until a few have run";
    if (most < 1.5) return " · in a moment";
    const [likely, limit] = [span(eta, Math.round), span(most ?? eta, Math.ceil)];
    return likely === limit ? ` · about ${likely}` : ` · about ${likely}, at most ${limit}`;
  };

  // A place is free once the next call starts.
  const soon = ({ eta }) => (eta && eta >= 1.5 ? `in about ${span(eta, Math.round)}` : "in a moment");

  const sentence = () => {
    const places = [...mine.values()];
    if (places.length && stage === "PAUSED") {
      const next = places.find((p) => p.state === "pending");
      const place = next ? `place is kept: ${ordinal(next.position + 1)} of ${next.size}` : "call is kept";
      return ["busy", `Paused by its owner · your ${place}`];
    }
    const runs = places.find((p) => p.state === "running");
    if (runs) return ["turn", earlier.has(runs.event_id) ? "Your earlier call is running" : "It is your turn: running"];
    if (places.length) {
      const first = places.reduce((a, b) => (b.position < a.position ? b : a));
      const subject = earlier.has(first.event_id) ? "Your earlier call is" : "You are";
      return ["waiting", `${subject} ${ordinal(first.position + 1)} of ${first.size}${about(first)}`];
    }
    if (ended) {
      const which = earlier.has(ended.event_id) ? "Your earlier" : "Your";
      return [ended.state === "completed" ? "done" : "bad", `${which} ${ENDED[ended.state]}`];
    }
    if (!running(stage)) return [STAGES[stage]?.startsWith("Stopped") ? "bad" : "busy", STAGES[stage] ?? stage];
    if (line.dataset.sdk === "static") return ["calm", "A static page: no queue, no waiting"];
    if (!status) return ["busy", "Looking at the queue…"];
    const most = Number(document.getElementById("space-head")?.dataset.maxSize);
    if (most && status.pending >= most) return ["full", `The line is full (${status.pending} of ${most}): try again ${soon(status)}`];
    if (status.pending) return ["waiting", `${status.pending} waiting${about(status)}`];
    return ["calm", "Nobody is waiting"];
  };

  const show = () => {
    const [tone, words] = sentence();
    line.dataset.tone = tone;
    if (text.textContent !== words) text.textContent = words;
    const parts = status && running(stage) && line.dataset.sdk !== "static" ? [`${status.running} running`, `${status.pending} waiting`] : [];
    count.textContent = parts.join(" · ");
  };

  const swap = () => {
    window.htmx.ajax("GET", panel.dataset.src, { target: panel, swap: "innerHTML" });
  };

  // The fetched state may be older than the socket's: fetch again until they agree.
  let again = 0;
  const lookAgain = (after) => {
    clearTimeout(again);
    again = setTimeout(() => { if (!agrees()) swap(); }, after);
  };
  const agrees = () => {
    const shown = panel.querySelector("[data-shown-stage]")?.dataset.shownStage ?? "";
    return running(shown) ? running(stage) : shown === stage;
  };
  panel.addEventListener("htmx:afterSwap", () => { if (!agrees()) lookAgain(700); });
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (detail.target === panel && !detail.successful) lookAgain(3000);
  });

  const onStage = (next) => {
    if (next === stage) return;
    const before = stage;
    stage = next;
    window.htmx.trigger(document.body, "stage");
    if (running(before) && running(next)) {
      // A new version took over: a visitor in the middle of something decides when to load it.
      if (next === "RUNNING") fresh.hidden = false;
    } else {
      fresh.hidden = true;
      // The demo's page goes away, and with it the listener for the results of its calls.
      if (running(before)) document.dispatchEvent(new CustomEvent("queue:gone"));
      if (!agrees()) swap();
    }
  };

  const onPlace = (place) => {
    if (place.state in ENDED) {
      mine.delete(place.event_id);
      ended = place;
      clearTimeout(endedTimer);
      endedTimer = setTimeout(() => { ended = null; show(); }, 5000);
    } else {
      mine.set(place.event_id, place);
      ended = null;
    }
  };

  fresh.addEventListener("click", () => { fresh.hidden = true; swap(); });

  let opened = false; // before: this page was connected, and is again
  let failures = 0;
  let comeBackIn = null; // ms, from a web process that restarts
  const connect = () => {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}${line.dataset.queue}`);
    socket.addEventListener("message", ({ data }) => {
      const message = JSON.parse(data);
      failures = 0;
      if (message.msg === "goodbye") {
        comeBackIn = message.retry_after_ms;
      } else if (message.msg === "status") {
        status = message;
        onStage(message.stage);
      } else if (message.msg === "place") {
        onPlace(message);
      } else if (message.msg === "earlier") {
        for (const id of Object.keys(message.calls)) earlier.add(id);
      }
      document.dispatchEvent(new CustomEvent("queue:message", { detail: message }));
      show();
    });
    socket.addEventListener("open", () => {
      const send = (message) => socket.send(JSON.stringify(message));
      document.dispatchEvent(new CustomEvent("queue:open", { detail: { send, again: opened } }));
      opened = true;
    });
    socket.addEventListener("close", ({ code }) => {
      if (code === 4404) {
        line.dataset.tone = "bad";
        text.textContent = "This Space is gone, or no longer shown to you";
        count.textContent = "";
        return;
      }
      status = null;
      mine.clear();
      failures += 1;
      line.dataset.tone = "busy";
      text.textContent = "Connecting again…";
      count.textContent = "";
      const most = Math.min(20_000, 500 * 2 ** Math.min(failures, 6));
      setTimeout(connect, comeBackIn ?? most * (0.5 + Math.random() / 2));
      comeBackIn = null;
    });
  };
  show();
  connect();
})();
