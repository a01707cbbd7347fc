// What somebody is typing, kept in this tab until it was saved, so that neither a lost link nor
// a closed view loses it: let d = draft("rule.new", {name: ""}); bind to d.value; d.clear().
export function draft<T extends object>(key: string, empty: T) {
  const name = "tocsin.draft." + key;
  let start = empty;
  try {
    const s = sessionStorage.getItem(name);
    if (s) start = { ...empty, ...JSON.parse(s) };
  } catch { /* what cannot be read was not a draft of ours */ }
  let value = $state<T>(start);
  $effect.root(() => {
    $effect(() => {
      const s = JSON.stringify(value);
      try {
        if (s === JSON.stringify(empty)) sessionStorage.removeItem(name);
        else sessionStorage.setItem(name, s);
      } catch { /* a private window keeps nothing */ }
    });
  });
  return {
    get value() { return value; },
    set value(v: T) { value = v; },
    get touched() { return JSON.stringify(value) !== JSON.stringify(empty); },
    clear() { value = structuredClone(empty); try { sessionStorage.removeItem(name); } catch { /* as above */ } },
  };
}
