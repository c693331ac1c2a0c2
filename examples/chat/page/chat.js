import { StompClient } from "./stomp.js";

const element = (id) => document.getElementById(id);
const [nameInput, roomInput, textInput] = ["name", "room", "text"].map(element);
const log = element("log");
const endpoint = `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/stomp`;

let client; // of the room that was joined last
let joined = {}; // { name, room } of that client

function join() {
  const name = nameInput.value.trim();
  const room = roomInput.value.trim();
  if (!name || !room) {
    (name ? roomInput : nameInput).focus();
    return showError("Enter a name and a room to join.");
  }
  clearErrors();
  if (client?.state === "online" && name === joined.name && room === joined.room) return textInput.focus();

  client?.disconnect(); // a login belongs to a connection, so a new name needs a new connection
  if (room !== joined.room) log.replaceChildren();
  joined = { name, room };
  store("name", name);
  location.hash = encodeURIComponent(room);
  document.title = `${room} · webstomp chat`;
  enableSending(false);

  client = new StompClient(endpoint, { login: name });
  client.onstate = showState;
  client.onerror = (error) => showError(sentence(error));
  client.subscribe(`/topic/rooms/${segment(room)}`, ({ body }) => showMessage(body));
  client.subscribe(`/rooms/${segment(room)}/members`, ({ body }) => showMembers(JSON.parse(body)));
  client.connect();
}

async function sendText() {
  const text = textInput.value;
  if (!text.trim()) return;
  if (client.state !== "online") {
    return showError("Not sent: there is no connection. Your text is kept; send it again when you are online.");
  }
  clearErrors();
  textInput.value = ""; // at once, so that the next message can be typed before this one is confirmed
  try {
    await client.send(`/topic/rooms/${segment(joined.room)}`, JSON.stringify({ text }));
  } catch (error) {
    // Restore the text, unless that would overwrite the next message.
    const quoted = textInput.value ? `: “${text}”` : "";
    textInput.value ||= text;
    // Without an answer from the server, the message may or may not have been published.
    showError(`${error.code ? "Not sent" : "Perhaps not sent"}${quoted}. ${sentence(error)}`);
  }
}

// A room is one segment of a destination, in which `/` and `.` separate segments and `*` is a wildcard.
const segment = (room) => encodeURIComponent(room).replaceAll(".", "%2E").replaceAll("*", "%2A");

// The body of an ERROR is for people; its code helps to find the cause.
const sentence = ({ message, code }) => (code && code !== message ? `${message} (${code})` : message);

function showMessage(body) {
  let message;
  try {
    message = JSON.parse(body);
  } catch {
    return showError("The server sent a message that is not JSON.");
  }
  const line = document.createElement("p");
  const from = document.createElement("strong");
  const text = document.createElement("span");
  from.textContent = message?.from ?? "?";
  text.textContent = message?.text ?? "";
  text.dir = "auto";
  line.append(from, " ", text);
  line.classList.toggle("mine", from.textContent === joined.name);
  line.style.setProperty("--hue", hue(from.textContent));
  log.append(line);
  follow();
}

// A user with several tabs is in the list several times, and is shown once.
function showMembers(names) {
  element("members").replaceChildren(...[...new Set(names)].map((name) => {
    const item = document.createElement("li");
    item.textContent = name;
    item.dir = "auto";
    item.classList.toggle("me", name === joined.name);
    item.style.setProperty("--hue", hue(name));
    return item;
  }));
}

// Scrolls to new messages, but not while the user has scrolled up to read.
let following = true;
function follow() {
  if (following) log.scrollTop = log.scrollHeight;
}
log.addEventListener("scroll", () => {
  following = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
});
new ResizeObserver(follow).observe(log);

function showState(state) {
  element("state").textContent = element("state").dataset.state = state;
  if (state !== "online") showMembers([]); // nobody knows who is there now
  if (state !== "online" || !textInput.disabled) return;
  // The form stays enabled when the connection drops, so that the user can keep typing.
  enableSending(true);
  textInput.focus();
}

function enableSending(enabled) {
  textInput.disabled = element("send").disabled = !enabled;
}

// Errors stay until the next action of the user. Up to three are shown, because they come in pairs: the cause of a lost
// connection, and the message that was lost with it.
let errors = [];
function showError(text) {
  if (errors.includes(text)) return; // every attempt to reconnect may fail with the same error
  errors = [...errors, text].slice(-3);
  element("error").textContent = errors.join("\n");
}

function clearErrors() {
  errors = [];
  element("error").textContent = "";
}

// A color for each sender, the same in every tab.
function hue(name) {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)) % 360;
  return hash;
}

// The browser may forbid storage; the page works without it.
function store(key, value) {
  try { localStorage.setItem(key, value); } catch { /* not stored */ }
}

function stored(key) {
  try { return localStorage.getItem(key); } catch { return null; }
}

function roomInHash() {
  try { return decodeURIComponent(location.hash.slice(1)); } catch { return ""; }
}

function onSubmit(form, action) {
  element(form).addEventListener("submit", (event) => {
    event.preventDefault();
    action();
  });
}

onSubmit("join-form", join);
onSubmit("send-form", sendText);
addEventListener("hashchange", () => { // the user edited the address or went back
  const room = roomInHash();
  if (!room || room === joined.room) return;
  roomInput.value = room;
  if (client) join();
});

nameInput.value = stored("name") ?? "";
roomInput.value = roomInHash() || roomInput.value;
(nameInput.value ? element("join") : nameInput).focus();
