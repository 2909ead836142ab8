// Pages read well without this. It renews what is not over yet, reads charts under the pointer, and unfolds what a link leads to.

const THROTTLE_MS = 250; // progress may come faster than anybody reads
const POLL_MS = 2000;

function unfold() {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let at = target && target.parentElement; at; at = at.parentElement) if (at instanceof HTMLDetailsElement) at.open = true;
}

async function renewed() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
  if (!answer.ok || answer.redirected) return location.reload();
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const now = document.querySelector("[data-live]");
  const then = fresh.querySelector("[data-live]");
  if (!now) return;
  if (then && now.dataset.live === then.dataset.live) {
    const [head, other] = [document, fresh].map((page) => page.querySelector("header.top"));
    if (head && other && head.innerHTML !== other.innerHTML) { // from the queue to work
      head.className = other.className;
      head.replaceChildren(...other.childNodes);
      document.title = fresh.title;
    }
    if (now.innerHTML !== then.innerHTML && !now.contains(document.activeElement)) now.replaceChildren(...then.childNodes);
    return;
  }
  if (now.id && fresh.getElementById(now.id)) { // a list in which nothing runs any more
    if (!now.contains(document.activeElement)) now.replaceWith(fresh.getElementById(now.id));
    return;
  }
  location.reload(); // it is over: the page is another one now
}

function follow(live) {
  let due = 0;
  let busy = false;
  let again = false;
  const renew = async () => {
    if (busy) { again = true; return; }
    busy = true;
    do {
      again = false;
      try { await renewed(); } catch { /* the service is away for a moment; the next turn asks again */ }
    } while (again);
    busy = false;
  };
  const soon = () => {
    clearTimeout(due);
    due = setTimeout(renew, THROTTLE_MS);
  };
  const poll = (every) => {
    const timer = setInterval(() => (document.querySelector("[data-live]") ? document.hidden || renew() : clearInterval(timer)), every);
  };
  if (!live.dataset.live) return poll(Number(live.dataset.poll) || POLL_MS);
  const source = new EventSource(live.dataset.live);
  source.addEventListener("progress", soon);
  source.addEventListener("verdict", () => { source.close(); renew(); });
  source.addEventListener("error", () => { if (source.readyState === EventSource.CLOSED) poll(POLL_MS); });
}

function read(figure) {
  const svg = figure.querySelector("svg[role=img]");
  const dots = [...svg.querySelectorAll("circle")].map((dot) => ({ dot, side: dot.classList[0], x: Number(dot.getAttribute("cx")), told: dot.querySelector("title")?.textContent ?? "" }));
  if (!dots.length) return;
  const line = document.createElement("p");
  line.className = "reading";
  figure.append(line);
  const clear = () => { for (const { dot } of dots) dot.classList.remove("near"); line.textContent = ""; };
  svg.addEventListener("pointerleave", clear);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    clear();
    const near = ["canary", "stable"].flatMap((side) => {
      const own = dots.filter((one) => one.side === side);
      return own.length ? [own.reduce((best, one) => (Math.abs(one.x - x) < Math.abs(best.x - x) ? one : best))] : [];
    });
    for (const { dot } of near) dot.classList.add("near");
    line.textContent = near.map((one) => one.told).join("  ·  ");
  });
}

unfold();
addEventListener("hashchange", unfold);
document.querySelectorAll("figure").forEach(read);
const live = document.querySelector("[data-live]");
if (live) follow(live);
