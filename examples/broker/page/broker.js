import { StompClient } from "./stomp.js";

const element = (id) => document.getElementById(id);
const endpoint = `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/ws`;
const MIB = 1024 * 1024;
const POINTS = 120; // two minutes, as the server publishes one overview per second

let client;
let previous; // the last overview; rates are differences between two overviews
let history = []; // rates per second: { published, delivered }

function enter(credentials) {
  client?.disconnect();
  client = new StompClient(endpoint, credentials);
  client.onstate = (state) => {
    element("state").textContent = element("state").dataset.state = state;
    if (state === "online") showOnline(credentials);
  };
  client.onerror = ({ code, message }) => {
    element("error").textContent = message;
    if (code !== "login-failed") return;
    client.disconnect(); // otherwise it would reconnect with the same login
    askForLogin(credentials.login);
  };
  client.subscribe("/broker/overview", ({ body }) => show(JSON.parse(body)));
  client.connect();
}

function askForLogin(login) {
  element("login-form").hidden = false;
  element("login").value = login;
  element("passcode").value = "";
  element("passcode").focus();
}

function showOnline(credentials) {
  element("login-form").hidden = true;
  element("error").textContent = "";
  // The browser may forbid storage. The page works without it, but asks for the login again after a reload.
  try { sessionStorage.setItem("credentials", JSON.stringify(credentials)); } catch { /* not stored */ }
}

function storedCredentials() {
  try { return JSON.parse(sessionStorage.getItem("credentials")); } catch { return null; }
}

function show(overview) {
  // After a restart of the server its counts start at 0, so there is no previous overview to compare with.
  const since = previous && previous.uptime < overview.uptime ? previous : undefined;
  const seconds = since && (overview.uptime - since.uptime) / 1000;
  const rate = (count, before) => (since ? Math.max(0, count - before) / seconds : 0);
  const rates = {
    published: rate(overview.published, since?.published),
    delivered: rate(overview.delivered, since?.delivered),
  };
  if (since) history = [...history, rates].slice(-POINTS);
  else history = [];
  showTiles(overview, rates);
  showChart();
  showDestinations(overview, since, rate);
  showSessions(overview);
  previous = overview;
}

function showTiles(overview, rates) {
  element("published").textContent = number(rates.published);
  element("delivered").textContent = number(rates.delivered);
  element("destination-count").textContent = number(overview.destination_count);
  element("session-count").textContent = number(overview.session_count);
  element("dead-lettered").textContent = number(overview.dead_lettered);
  element("message-bytes").textContent = number(overview.message_bytes / MIB);
  element("max-message-bytes").textContent = `of ${number(overview.max_message_bytes / MIB)} MiB`;
}

function showChart() {
  const top = roundUp(Math.max(10, ...history.flatMap(({ published, delivered }) => [published, delivered])));
  for (const name of ["published", "delivered"]) {
    const points = history.map((rates, n) => {
      const x = POINTS - history.length + n + 1; // the newest point is at the right edge
      return `${x},${(39.5 - 39 * rates[name] / top).toFixed(2)}`;
    });
    element("chart").querySelector(`polyline.${name}`).setAttribute("points", points.join(" "));
  }
  element("scale").textContent = `scale: 0 to ${number(top)}/s`;
}

/** Rounds up to one of 10, 20, 50, 100, … */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((n) => n * power).find((top) => top >= value);
}

function showDestinations({ destinations, destination_count }, since, rate) {
  const before = new Map(since?.destinations.map(({ name, published }) => [name, published]));
  fill("destinations", destinations.map(({ name, subscribers, published, waiting, unacknowledged }) => [
    name,
    [name, number(subscribers), number(rate(published, before.get(name) ?? 0)), number(published),
      number(waiting), number(unacknowledged)],
  ]));
  showMore("destinations", destination_count - destinations.length);
}

function showSessions({ sessions, session_count }) {
  fill("sessions", sessions.map(({ id, login, address, transport, age }) => [
    id,
    [login ?? "–", address ?? "–", transport, duration(age), id],
  ]));
  showMore("sessions", session_count - sessions.length);
}

/** Fills a table. Existing rows are updated in place, so that selected text stays selected. */
function fill(id, rows) {
  const body = element(id);
  const known = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  const wanted = rows.map(([key, cells]) => {
    const row = known.get(key) ?? document.createElement("tr");
    row.dataset.key = key;
    cells.forEach((text, n) => {
      const cell = row.cells[n] ?? row.insertCell();
      if (cell.textContent !== text) cell.textContent = cell.title = text; // the title shows the whole text where the cell clips it
    });
    return row;
  });
  if (wanted.length !== body.rows.length || wanted.some((row, n) => row !== body.rows[n])) {
    body.replaceChildren(...wanted);
  }
}

function showMore(id, count) {
  element(`more-${id}`).textContent = count > 0 ? `and ${number(count)} more` : "";
}

function number(value) {
  if (value === null || value === undefined) return "";
  // Small numbers have a fraction digit: 0.5 per second is not 0.
  const digits = value < 10 ? 1 : 0;
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}

function duration(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
}

element("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  enter({ login: element("login").value, passcode: element("passcode").value });
});

enter(storedCredentials() ?? { login: "guest", passcode: "guest" });
