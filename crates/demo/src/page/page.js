// The token says that we know the address. The theme is the reader's, or the one that the address
// asks for: &theme=dark
const address = new URLSearchParams(location.search);
const token = encodeURIComponent(address.get("token")), asked = address.get("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle(
  "dark", asked ? asked === "dark" : dark.matches);
dark.addEventListener("change", paint);
paint();

const [picture, keys, news] = ["picture", "keys", "news"].map(id => document.getElementById(id));
const press = code => fetch(`/key?token=${token}&key=${code}`, { method: "POST" });
addEventListener("keydown", event => {
  const key = event.key === "Enter" ? " " : event.key;
  // On a button that was reached by Tab they press the button.
  if (key === " " && event.target.closest?.("button")) return;
  if (key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    press(key.codePointAt(0));
  }
});
keys.addEventListener("click", event => {
  const button = event.target.closest("button");
  if (!button) return;
  press(button.dataset.key);
  if (event.detail) button.blur(); // by a pointer: the next Space is the lesson's
});

// A screen shows all of it at once, with smaller letters where there is much; a phone scrolls.
let scale = 1, shown = "";
const isWide = () => innerWidth >= 700;
const overflows = () => ["main", ".fill", ".roles"].some(part =>
  [...picture.querySelectorAll(part)].some(it =>
    it.scrollHeight > it.clientHeight + 2 || it.scrollWidth > it.clientWidth + 2));
function fit() {
  const set = () => document.documentElement.style.setProperty("--scale", isWide() ? scale : 1);
  set();
  while (isWide() && scale > 0.45 && overflows()) {
    scale -= 0.05;
    set();
  }
  // What is newest is seen where even the smallest letters are too many.
  for (const list of picture.querySelectorAll(".newest")) list.scrollTop = list.scrollHeight;
}
function show(html) {
  picture.innerHTML = html;
  const now = picture.querySelector("h1")?.textContent + keys.querySelectorAll("[aria-pressed=true]").length
    + [...keys.querySelectorAll("[aria-pressed=true]")].map(it => it.dataset.key);
  if (now !== shown) scale = 1;
  shown = now;
  fit();
  const said = picture.querySelector("[data-status]")?.textContent ?? "";
  if (news.textContent !== said) news.textContent = said;
}
addEventListener("resize", () => { scale = 1; fit(); });

let events;
function look() {
  events?.close();
  events = new EventSource(`/events?token=${token}`);
  // It comes back by itself, unless it was sent away.
  events.onerror = () => { if (events.readyState === EventSource.CLOSED) setTimeout(look, 2000); };
  events.onmessage = event => show(event.data);
  events.addEventListener("keys", event => {
    const focused = document.activeElement?.dataset?.key;
    keys.innerHTML = event.data;
    keys.querySelector(`[data-key="${focused}"]`)?.focus();
  });
}
look();
