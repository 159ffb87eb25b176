// A live log: server-sent events into one <pre>, as text. The server replays the log from its start, so a
// new connection skips what is here already.
(() => {
  const place = document.querySelector("[data-log]");
  if (!place) return;
  const state = document.querySelector("[data-log-state]");
  const MOST = 5000;
  let shown = 0; // entries of this log so far
  let skip = 0;
  let waiting = [];
  let frame = 0;
  let stamp = "";
  let lastSeen = "";

  const flush = () => {
    frame = 0;
    const atEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
    const piece = document.createDocumentFragment();
    for (const text of waiting) piece.append(text);
    place.append(piece);
    waiting = [];
    while (place.childNodes.length > MOST) place.firstChild.remove();
    if (atEnd) place.scrollTop = place.scrollHeight;
  };
  const source = new EventSource(place.dataset.log);
  source.addEventListener("open", () => {
    skip = shown;
    lastSeen = stamp;
    state.textContent = "Live";
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
    waiting.push(entry.data);
    frame ||= requestAnimationFrame(flush);
  });
  source.addEventListener("error", () => {
    state.textContent = source.readyState === EventSource.CLOSED ? "Not live: reload the page" : "Connecting again…";
  });
})();
