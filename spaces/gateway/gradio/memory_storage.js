for (const name of ["localStorage", "sessionStorage"]) {
  try {
    if (window[name]) continue;
  } catch {
    // The browser denies it.
  }
  const kept = new Map();
  const methods = {
    getItem: (key) => kept.get(String(key)) ?? null,
    setItem: (key, value) => void kept.set(String(key), String(value)),
    removeItem: (key) => void kept.delete(String(key)),
    clear: () => kept.clear(),
    key: (index) => [...kept.keys()][index] ?? null,
  };
  const storage = new Proxy({}, {
    get: (_, key) => (key === "length" ? kept.size : (methods[key] ?? kept.get(key))),
    set: (_, key, value) => Boolean(kept.set(key, String(value))),
    has: (_, key) => key in methods || kept.has(key),
    deleteProperty: (_, key) => kept.delete(key) || true,
    ownKeys: () => [...kept.keys()],
    getOwnPropertyDescriptor: (_, key) =>
      kept.has(key) ? { value: kept.get(key), writable: true, enumerable: true, configurable: true } : undefined,
  });
  Object.defineProperty(window, name, { value: storage, configurable: true });
}
