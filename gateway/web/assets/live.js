// Keeps the page fresh: the server sends elements that have changed, by their ids. Without it the page
// is right as of its request.
(() => {
  const page = document.documentElement, byId = (id) => document.getElementById(id);
  const waiting = new Map();
  let source, again, heard, pressed, released;
  const state = (to) => { page.dataset.stream = to; };
  const listen = (root) => {
    for (const { id } of root.querySelectorAll('[data-part]')) {
      if (!heard.has(id)) source.addEventListener(id, take);
      heard.add(id);
    }
  };
  // What is pressed stays until it is let go: the click on an element that was replaced is lost.
  const take = (part) => (pressed ? waiting.set(part.type, part) : replace(part));
  const press = () => {
    clearTimeout(released); // of the press before
    pressed = true;
  };
  const release = () => {
    clearTimeout(released);
    released = setTimeout(() => {
      pressed = false;
      waiting.forEach(replace);
      waiting.clear();
    });
  };
  const replace = ({ type, data }) => {
    const box = document.createElement('template'), old = byId(type), active = document.activeElement;
    box.innerHTML = data;
    const fresh = box.content.firstElementChild;
    if (!old || !fresh) return;
    for (const { id } of old.querySelectorAll('details[open]')) {
      const same = box.content.getElementById(id);
      if (same) same.open = true;
    }
    const held = old.contains(active);
    old.replaceWith(fresh);
    listen(fresh);
    if (!held) return;
    const kept = byId(active.id);
    if (!kept) fresh.tabIndex = -1;
    (kept || fresh).focus({ preventScroll: true });
  };
  const stop = () => { clearTimeout(again); if (source) source.close(); };
  const start = () => {
    if (page.dataset.stream === 'over') return;
    stop();
    heard = new Set();
    source = new EventSource(document.body.dataset.live);
    source.onopen = () => state('open');
    source.onerror = () => {
      state('lost');
      if (source.readyState === 2) again = setTimeout(start, 5000);
    };
    source.addEventListener('announce', ({ data }) => { byId('announce').textContent = data; });
    source.addEventListener('over', () => { stop(); state('over'); });
    listen(document);
  };
  // A page that nobody sees gives its connection back: browsers keep few to one server.
  document.addEventListener('visibilitychange', () => (document.hidden ? stop : start)());
  addEventListener('pointerdown', ({ button }) => { if (button === 0) press(); });
  addEventListener('keydown', ({ key }) => { if (key === ' ') press(); });
  for (const end of ['pointerup', 'pointercancel', 'keyup', 'blur']) addEventListener(end, release);
  addEventListener('pagehide', stop);
  addEventListener('pageshow', ({ persisted }) => persisted && start());
  start();
})();
