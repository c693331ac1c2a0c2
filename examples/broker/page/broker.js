import { StompClient } from "./stomp.js";

const element = (id) => document.getElementById(id);
const endpoint = `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/ws`;
const POINTS = 120; // two minutes, one overview a second

let client;
let previous; // the last overview; what happened since is a difference
let history = []; // of { published, delivered } a second

function enter(credentials) {
  client?.disconnect();
  client = new StompClient(endpoint, credentials);
  client.onstate = (state) => {
    element("state").textContent = element("state").dataset.state = state;
    if (state === "online") welcome(credentials);
  };
  client.onerror = ({ code, message }) => {
    element("error").textContent = message;
    if (code !== "login-failed") return;
    client.disconnect(); // it would only try again
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

function welcome(credentials) {
  element("login-form").hidden = true;
  element("error").textContent = "";
  // Storage may be forbidden, and the page works without.
  try { sessionStorage.setItem("credentials", JSON.stringify(credentials)); } catch { /* asked again, then */ }
}

function remembered() {
  try { return JSON.parse(sessionStorage.getItem("credentials")); } catch { return null; }
}

function show(overview) {
  // A server that was started again counts from nothing.
  const since = previous && previous.at < overview.at ? previous : undefined;
  const seconds = since && (overview.at - since.at) / 1000;
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
}

function showChart() {
  const top = round(Math.max(10, ...history.flatMap(({ published, delivered }) => [published, delivered])));
  for (const name of ["published", "delivered"]) {
    const points = history.map((rates, n) => {
      const x = POINTS - history.length + n + 1; // the newest is at the right edge
      return `${x},${(39.5 - 39 * rates[name] / top).toFixed(2)}`;
    });
    element("chart").querySelector(`polyline.${name}`).setAttribute("points", points.join(" "));
  }
  element("scale").textContent = `up to ${number(top)}`;
}

/** The next of 10, 20, 50, 100, … */
function round(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((n) => n * power).find((top) => top >= most);
}

function showDestinations({ destinations, destination_count }, since, rate) {
  const before = new Map(since?.destinations.map(({ name, published }) => [name, published]));
  fill("destinations", destinations.map(({ name, subscribers, published, waiting, unacknowledged }) => [
    name,
    [name, number(subscribers), number(rate(published, before.get(name) ?? 0)), number(published),
      number(waiting), number(unacknowledged)],
  ]));
  tellMore("destinations", destination_count - destinations.length);
}

function showSessions({ sessions, session_count }) {
  fill("sessions", sessions.map(({ id, login, address, over, seconds }) => [
    id,
    [login ?? "–", address ?? "–", over, duration(seconds), id],
  ]));
  tellMore("sessions", session_count - sessions.length);
}

/** Rows are kept by their keys and changed in place, so that what is selected stays selected. */
function fill(id, rows) {
  const body = element(id);
  const known = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  const wanted = rows.map(([key, cells]) => {
    const row = known.get(key) ?? document.createElement("tr");
    row.dataset.key = key;
    cells.forEach((text, n) => {
      const cell = row.cells[n] ?? row.insertCell();
      if (cell.textContent !== text) cell.textContent = cell.title = text; // which may be cut short
    });
    return row;
  });
  if (wanted.length !== body.rows.length || wanted.some((row, n) => row !== body.rows[n])) {
    body.replaceChildren(...wanted);
  }
}

function tellMore(id, count) {
  element(`more-${id}`).textContent = count > 0 ? `and ${number(count)} more` : "";
}

function number(value) {
  if (value === null || value === undefined) return "";
  // A few are told with their fractions, as 0.5 a second is not none.
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

enter(remembered() ?? { login: "guest", passcode: "guest" });
