// What came of calls made before this page was loaded again, or while it was cut off: the demo's own page has
// forgotten them. The queue keeps their places; their results are shown here, between the line and the demo.
(() => {
  const box = document.querySelector("[data-earlier]");
  const line = document.querySelector("[data-queue]");
  if (!box || !line) return;

  const NAME = `spaceport:visits:${line.dataset.queue.split("?")[0]}`;
  const MOST_VISITS = 5;
  const MOST_SEEN = 300;
  const DAY_MS = 24 * 3600 * 1000;
  const visit = new URL(line.dataset.queue, location.href).searchParams.get("visit");

  // Per tab: a visit is one opening of this page; `seen` are calls whose end this visitor has seen.
  const read = () => {
    try {
      return JSON.parse(sessionStorage.getItem(NAME) ?? "[]").filter((v) => Date.now() - v.at < DAY_MS);
    } catch {
      return [];
    }
  };
  const write = (visits) => {
    try {
      sessionStorage.setItem(NAME, JSON.stringify(visits.slice(-MOST_VISITS)));
    } catch { /* full, or forbidden here: then a reload forgets */ }
  };
  const before = read();
  const seen = new Set(before.flatMap((v) => v.seen));
  write([...before, { visit, at: Date.now(), seen: [] }]);
  const remember = (id) => {
    seen.add(id);
    const visits = read();
    if (!visits.length) return;
    visits.at(-1).seen = [...visits.at(-1).seen, id].slice(-MOST_SEEN);
    write(visits);
  };

  const names = new Map(); // event id -> its function's name
  const shown = new Map(); // event id -> its card
  const open = new Set(); // event ids of this visit that have not ended
  const missed = new Set(); // those of them that were open when the page was cut off

  // Links lead to the demo's own host only: the words are a stranger's.
  const home = new URL(box.dataset.demo);
  const ours = (address) => {
    try {
      const url = new URL(address);
      return url.protocol === home.protocol && url.host === home.host ? url.href : null;
    } catch {
      return null;
    }
  };
  const make = (tag, text, name) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (name) node.className = name;
    return node;
  };

  const isFile = (value) => typeof value === "object" && typeof value?.path === "string" && "url" in value;
  const file = (value) => {
    const address = ours(value.url);
    const title = value.orig_name || value.path.split("/").pop();
    if (!address) return make("p", title);
    const link = make("a", undefined);
    link.href = address;
    link.target = "_blank";
    link.rel = "noopener";
    if (/^image\//.test(value.mime_type ?? "") || /\.(png|jpe?g|gif|webp|svg|avif)$/i.test(value.path)) {
      const image = make("img");
      image.src = address;
      image.alt = title;
      image.loading = "lazy";
      link.append(image);
    } else {
      link.textContent = title;
      link.download = title;
    }
    return link;
  };
  const part = (value) => {
    if (value?.__type__ === "update") return part(value.value);
    if (value === null || value === undefined || value === "") return [];
    if (isFile(value)) return [file(value)];
    if (Array.isArray(value) && value.length && value.every(isFile)) return value.map(file);
    if (isFile(value.image)) return [file(value.image)];
    const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
    return [make("pre", text)];
  };
  const inside = (message) => {
    if (message.too_large) return [make("p", "Its result is too large to be shown here.")];
    if (!message.success) return [make("p", message.error || "The app gave no reason.")];
    const parts = message.data.flatMap(part);
    return parts.length ? parts : [make("p", "It has no result to be shown.", "soft")];
  };

  const show = (message) => {
    const name = names.get(message.event_id);
    const card = make("article", undefined, message.success ? "box good" : "box bad");
    const head = make("div", undefined, "row between");
    const title = make("h2", message.success ? "Your earlier call ended" : "Your earlier call failed");
    if (name) title.append(": ", make("code", name));
    const dismiss = make("button", "Dismiss", "quiet small");
    dismiss.type = "button";
    dismiss.addEventListener("click", () => {
      remember(message.event_id);
      card.remove();
      box.hidden = !box.childElementCount;
      line.scrollIntoView({ block: "nearest" });
    });
    head.append(title, dismiss);
    card.append(head, ...inside(message));
    shown.get(message.event_id)?.remove();
    shown.set(message.event_id, card);
    box.append(card);
    box.hidden = false;
  };

  let send = () => {};
  document.addEventListener("queue:gone", () => send({ msg: "earlier", visit }));
  document.addEventListener("queue:open", ({ detail }) => {
    send = detail.send;
    for (const { visit: earlier } of before) detail.send({ msg: "earlier", visit: earlier });
    // Cut off and back: the demo may have missed what came meanwhile.
    if (detail.again) {
      for (const id of open) missed.add(id);
      detail.send({ msg: "earlier", visit });
    }
  });
  document.addEventListener("queue:message", ({ detail }) => {
    if (detail.msg === "earlier") {
      for (const [id, name] of Object.entries(detail.calls)) names.set(id, name);
    } else if (detail.msg === "ended" && !seen.has(detail.event_id)) {
      show(detail);
    } else if (detail.msg === "place") {
      const id = detail.event_id;
      if (detail.state === "pending" || detail.state === "running") {
        open.add(id);
        return;
      }
      open.delete(id);
      // Ended while the demo's own page was there to show it.
      if (!names.has(id) && !missed.has(id)) remember(id);
    }
  });
})();
