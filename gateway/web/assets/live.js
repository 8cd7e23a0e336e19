// Keeps the page fresh: the server sends elements that have changed, by their ids. Without it the page
// is right as of its request.
(() => {
  const page = document.documentElement, feed = document.body.dataset.live;
  let source, again;
  const state = (to) => { page.dataset.stream = to; };
  const replace = ({ type, data }) => {
    const old = document.getElementById(type);
    const box = document.createElement('template');
    box.innerHTML = data;
    const fresh = box.content.firstElementChild;
    if (!old || !fresh) return;
    for (const open of old.querySelectorAll('details[open][id]')) {
      const same = box.content.getElementById(open.id);
      if (same) same.open = true;
    }
    const active = old.contains(document.activeElement) && document.activeElement;
    old.replaceWith(fresh);
    if (!active) return;
    const kept = active.id && document.getElementById(active.id);
    if (!kept) fresh.tabIndex = -1;
    (kept || fresh).focus({ preventScroll: true });
  };
  const stop = () => { clearTimeout(again); if (source) source.close(); source = null; };
  const start = () => {
    stop();
    source = new EventSource(feed);
    source.onopen = () => state('open');
    source.onerror = () => {
      state('lost');
      if (source && source.readyState === EventSource.CLOSED) again = setTimeout(start, 5000);
    };
    for (const part of document.querySelectorAll('[data-part]')) source.addEventListener(part.id, replace);
    source.addEventListener('announce', ({ data }) => { document.getElementById('announce').textContent = data; });
    source.addEventListener('over', () => { stop(); state('over'); });
  };
  // A page that nobody sees gives its connection back: browsers keep few to one server.
  document.addEventListener('visibilitychange', () => { if (page.dataset.stream !== 'over') document.hidden ? stop() : start(); });
  addEventListener('pagehide', stop);
  addEventListener('pageshow', (event) => { if (event.persisted && page.dataset.stream !== 'over') start(); });
  start();
})();
