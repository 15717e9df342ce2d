"use strict";

// What signs its person in is kept for this tab alone, and never put into an address.
const kept = {
  read: (name) => JSON.parse(sessionStorage.getItem("nsl." + name) || "null"),
  write: (name, value) =>
    value === null ? sessionStorage.removeItem("nsl." + name) : sessionStorage.setItem("nsl." + name, JSON.stringify(value)),
};

const at = (id) => document.getElementById(id);
const SECTIONS = ["entry", "registering", "second", "device", "account"];
const TITLES = {
  entry: "Sign in", registering: "Register", second: "One more step", device: "Let a device in", account: "Your account",
};
const onDevicePage = location.pathname === "/device";
const inAddress = new URLSearchParams(location.search);
const tenant = inAddress.get("tenant");
let pending = null;

function show(section) {
  for (const id of SECTIONS) at(id).hidden = id !== section;
  at("title").textContent = TITLES[section];
  at("title").focus();
}

function say(text) {
  at("status").textContent = text;
}

function complain(text) {
  at("problem").textContent = text || "";
  at("problem").hidden = !text;
}

class Problem extends Error {
  constructor(body, status) {
    super(body.detail || body.title || "the server answered " + status);
    this.code = body.code;
    this.details = body.details || {};
  }
}

async function send(method, path, body) {
  const headers = { accept: "application/json" };
  const tokens = kept.read("tokens");
  if (tokens) headers.authorization = "Bearer " + tokens.access_token;
  if (body !== undefined) headers["content-type"] = "application/json";
  const text = body === undefined ? undefined : JSON.stringify(body);
  const answer = await fetch(path, { method, headers, body: text, credentials: "same-origin", redirect: "error" });
  const reply = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Problem(reply, answer.status);
  return reply;
}

const EXPIRED = ["auth.token_expired", "auth.token_revoked", "auth.token_invalid"];

// Calls the API, with a newer token where the one at hand is over and a second factor where one is asked for.
async function call(method, path, body, again = true) {
  try {
    return await send(method, path, body);
  } catch (problem) {
    if (!again || !kept.read("tokens")) throw problem;
    if (problem.code === "auth.step_up") await stepUp();
    else if (EXPIRED.includes(problem.code)) await refresh();
    else throw problem;
    return call(method, path, body, false);
  }
}

async function refresh() {
  const tokens = kept.read("tokens");
  kept.write("tokens", null);
  const newer = await send("POST", "/v1/auth/refresh", { refresh_token: tokens.refresh_token });
  kept.write("tokens", { ...tokens, ...newer });
}

// Runs what a button or form does: one at a time, with its problems shown.
function does(element, event, work) {
  at(element).addEventListener(event, async (occurred) => {
    occurred.preventDefault();
    complain("");
    const buttons = document.querySelectorAll("button");
    buttons.forEach((button) => (button.disabled = true));
    try {
      await work(occurred.target);
    } catch (problem) {
      say("");
      complain(problem.name === "NotAllowedError" ? "The browser gave no passkey." : problem.message);
    } finally {
      buttons.forEach((button) => (button.disabled = false));
    }
  });
}

const fields = (form) => {
  const given = {};
  for (const [name, value] of new FormData(form)) if (value !== "") given[name] = value;
  return given;
};
const inTenant = (body) => (tenant ? { ...body, tenant } : body);

async function entered(reply) {
  if (reply.mfa_required) {
    pending = reply.mfa_token;
    at("second-passkey").hidden = !reply.factors.includes("passkey");
    at("code").hidden = !reply.factors.some((factor) => factor !== "passkey");
    show("second");
    return;
  }
  pending = null;
  kept.write("tokens", reply);
  for (const form of document.forms) form.reset();
  await inside();
}

// Passkeys ---------------------------------------------------------------------------------------

const bytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

function readable(options) {
  const named = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));
  const read = { ...options, challenge: bytes(options.challenge) };
  if (options.user) read.user = { ...options.user, id: bytes(options.user.id) };
  if (options.excludeCredentials) read.excludeCredentials = named(options.excludeCredentials);
  if (options.allowCredentials) read.allowCredentials = named(options.allowCredentials);
  return read;
}

function writable(credential) {
  const response = { clientDataJSON: text(credential.response.clientDataJSON) };
  for (const part of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[part]) response[part] = text(credential.response[part]);
  }
  if (credential.response.getTransports) response.transports = credential.response.getTransports();
  return {
    id: credential.id, rawId: text(credential.rawId), type: credential.type, response,
    clientExtensionResults: credential.getClientExtensionResults(),
  };
}

async function showPasskey(path, more) {
  say("Your browser asks for a passkey.");
  const { ceremony, options } = await send("POST", path + "/begin", {});
  const credential = await navigator.credentials.get({ publicKey: readable(options) });
  say("");
  return send("POST", path + "/finish", { ceremony, credential: writable(credential), ...more });
}

async function makePasskey(name) {
  const { ceremony, options } = await call("POST", "/v1/auth/passkey/register/begin", {});
  say("Your browser makes a passkey.");
  const credential = await navigator.credentials.create({ publicKey: readable(options) });
  await call("POST", "/v1/auth/passkey/register/finish", { ceremony, name, credential: writable(credential) });
  say("The passkey is registered.");
}

async function stepUp() {
  const { items } = await send("GET", "/v1/auth/passkeys");
  const { factors } = await send("GET", "/v1/auth/factors");
  let raised;
  if (items.length) {
    raised = await showPasskey("/v1/auth/passkey/step-up", {});
  } else if (factors.length) {
    const typed = (prompt("Code of your authenticator app, or a recovery code") || "").trim();
    raised = await send("POST", "/v1/auth/step-up", codeOf(typed));
  } else {
    throw new Error("This needs a second factor: register a passkey first.");
  }
  kept.write("tokens", { ...kept.read("tokens"), ...raised });
}

const codeOf = (typed) => (/^\d{6}$/.test(typed.replace(/\s/g, "")) ? { code: typed.replace(/\s/g, "") } : { recovery_code: typed });

// Wallets ----------------------------------------------------------------------------------------

const hexOf = (message) => "0x" + [...new TextEncoder().encode(message)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

async function withX() {
  if (!window.ethereum) throw new Error("There is no wallet of Neo X in this browser.");
  const [address] = await window.ethereum.request({ method: "eth_requestAccounts" });
  const { message } = await send("POST", "/v1/auth/wallet/challenge", { chain: "neo-x", address, domain: location.host });
  const signature = await window.ethereum.request({ method: "personal_sign", params: [hexOf(message), address] });
  await entered(await send("POST", "/v1/auth/wallet/login", inTenant({ chain: "neo-x", address, message, signature })));
}

async function withN3() {
  if (!window.NEOLineN3) throw new Error("There is no wallet of Neo N3 in this browser.");
  const wallet = new window.NEOLineN3.Init();
  const { address } = await wallet.getAccount();
  const { message } = await send("POST", "/v1/auth/wallet/challenge", { chain: "neo-n3", address, domain: location.host });
  const signed = await wallet.signMessage({ message });
  const proof = { chain: "neo-n3", address, message, signature: signed.data, public_key: signed.publicKey };
  if (signed.salt) proof.salt = signed.salt;
  await entered(await send("POST", "/v1/auth/wallet/login", inTenant(proof)));
}

// Identity providers -----------------------------------------------------------------------------

async function listProviders(into, link) {
  const { items } = await send("GET", "/v1/auth/oidc" + (tenant ? "?tenant=" + encodeURIComponent(tenant) : ""));
  at(into).replaceChildren();
  for (const { provider, title } of items) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = (link ? "Link " : "With ") + title;
    button.id = into + "-" + provider;
    at(into).append(button);
    does(button.id, "click", () => leaveFor(provider, link));
  }
}

async function leaveFor(provider, link) {
  const back = "/signin/callback/" + (tenant ? encodeURIComponent(tenant) + "/" : "") + provider;
  const asked = inTenant({ bind: "cookie", link, redirect_uri: location.origin + back });
  const { url } = await call("POST", "/v1/auth/oidc/" + encodeURIComponent(provider) + "/begin", asked);
  kept.write("device", onDevicePage ? inAddress.get("user_code") || "" : null);
  location.assign(url);
}

async function cameBack() {
  const sent = { redirect_uri: location.origin + location.pathname };
  for (const name of ["state", "code", "iss", "error"]) if (inAddress.has(name)) sent[name] = inAddress.get(name);
  // Before anything else: what the provider sent works once, and no history keeps it.
  history.replaceState(null, "", "/signin");
  const outcome = await call("POST", "/v1/auth/oidc/callback", sent);
  const device = kept.read("device");
  kept.write("device", null);
  if (!outcome.linked && !outcome.mfa_required && device !== null) {
    kept.write("tokens", outcome);
    location.replace("/device" + (device ? "?user_code=" + encodeURIComponent(device) : ""));
    return;
  }
  if (outcome.linked) {
    await inside();
    say("The identity is linked.");
    return;
  }
  await entered(outcome);
}

// Inside -----------------------------------------------------------------------------------------

async function inside() {
  const who = await call("GET", "/v1/identity/whoami");
  if (onDevicePage) {
    at("user-code").value = inAddress.get("user_code") || "";
    show("device");
    return;
  }
  at("who").textContent = who.subject;
  at("where").textContent = who.tenant;
  await listOwn();
  show("account");
}

function row(into, words, label, work) {
  const line = document.createElement("li");
  const name = document.createElement("span");
  name.textContent = words;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.id = into + "-" + at(into).childElementCount;
  button.setAttribute("aria-label", label + " " + words);
  line.append(name, button);
  at(into).append(line);
  does(button.id, "click", work);
}

async function listOwn() {
  const passkeys = await call("GET", "/v1/auth/passkeys");
  at("passkeys").replaceChildren();
  for (const { id, name } of passkeys.items) {
    row("passkeys", name, "Remove", async () => {
      await call("DELETE", "/v1/auth/passkeys/" + encodeURIComponent(id));
      await listOwn();
      say("The passkey is removed.");
    });
  }
  const federated = await call("GET", "/v1/auth/federated");
  at("federated").replaceChildren();
  at("federated-title").hidden = federated.items.length === 0;
  for (const { id, issuer } of federated.items) {
    row("federated", issuer, "Unlink", async () => {
      await call("DELETE", "/v1/auth/federated/" + encodeURIComponent(id));
      await listOwn();
      say("The identity is unlinked.");
    });
  }
  await listProviders("linkable", true);
}

async function lookAtDevice(form) {
  const { user_code } = fields(form);
  const asked = await call("POST", "/v1/auth/device/look", { user_code });
  const facts = [["Program", asked.client_name], ["May", asked.scope || "all that you may"], ["From", asked.address || "unknown"], ["Called", asked.agent || "unknown"], ["Asked", new Date(asked.asked_at).toLocaleString()]];
  at("device-facts").replaceChildren();
  for (const [name, value] of facts) {
    const term = document.createElement("dt");
    const said = document.createElement("dd");
    term.textContent = name;
    said.textContent = value;
    at("device-facts").append(term, said);
  }
  at("device-answer").hidden = false;
  at("device-approve").focus();
}

async function answerDevice(answer) {
  const { user_code } = fields(at("device-look"));
  await call("POST", "/v1/auth/device/" + answer, inTenant({ user_code }));
  at("device-look").hidden = true;
  at("device-answer").hidden = true;
  say(answer === "approve" ? "The device is let in. You can close this page." : "The device is refused.");
}

async function start() {
  does("login", "submit", async (form) => entered(await send("POST", "/v1/auth/login", inTenant(fields(form)))));
  does("register", "submit", async (form) => entered(await send("POST", "/v1/auth/register", fields(form))));
  does("code", "submit", async (form) => {
    const typed = (fields(form).digits || "").trim();
    await entered(await send("POST", "/v1/auth/mfa", { mfa_token: pending, ...codeOf(typed) }));
  });
  does("with-passkey", "click", async () => entered(await showPasskey("/v1/auth/passkey/login", inTenant({}))));
  does("second-passkey", "click", async () => entered(await showPasskey("/v1/auth/passkey/login", { mfa_token: pending })));
  does("cancel-second", "click", () => {
    pending = null;
    show("entry");
  });
  does("with-x", "click", withX);
  does("with-n3", "click", withN3);
  does("to-register", "click", () => show("registering"));
  does("to-entry", "click", () => show("entry"));
  does("add-passkey", "submit", async (form) => {
    await makePasskey(fields(form).name);
    await listOwn();
  });
  does("device-look", "submit", lookAtDevice);
  does("device-approve", "click", () => answerDevice("approve"));
  does("device-deny", "click", () => answerDevice("deny"));
  does("sign-out", "click", async () => {
    const tokens = kept.read("tokens");
    kept.write("tokens", null);
    await send("POST", "/v1/auth/logout", { refresh_token: tokens.refresh_token });
    show("entry");
    say("You are signed out.");
  });
  at("with-passkey").hidden = !window.PublicKeyCredential;

  let failed = "";
  if (location.pathname.startsWith("/signin/callback/")) {
    try {
      return await cameBack();
    } catch (problem) {
      failed = problem.message;
    }
  }
  if (kept.read("tokens")) {
    try {
      await inside();
      return complain(failed);
    } catch {
      kept.write("tokens", null);
    }
  }
  complain(failed);
  show("entry");
  await listProviders("providers", false).catch(() => {});
}

start();
