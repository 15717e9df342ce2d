// A real client of OAuth 2.0 (openid-client), that finds out by discovery how to do what the test asks. One line of
// JSON asks, one answers.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// Beside this file nothing is installed: what is lies where NODE_PATH says.
const library = process.env.NODE_PATH + "/openid-client/build/index.js";
const openid = await import(pathToFileURL(library).href);

let config, device;
const holders = new Map();

// The same key for the same name; no name is no key.
async function options(name) {
  if (!name) return undefined;
  if (!holders.has(name)) holders.set(name, await openid.randomDPoPKeyPair("ES256"));
  return { DPoP: openid.getDPoPHandle(config, holders.get(name)) };
}

const authentications = {
  basic: openid.ClientSecretBasic,
  post: openid.ClientSecretPost,
  none: openid.None,
};

const does = {
  discover: async ({ issuer, algorithm, client, secret, by }) => {
    const extra = { execute: [openid.allowInsecureRequests], algorithm };
    const shown = authentications[by || "basic"](secret);
    config = await openid.discovery(new URL(issuer), client, undefined, shown, extra);
    return config.serverMetadata();
  },
  machine: async ({ scope, key }) =>
    openid.clientCredentialsGrant(config, scope ? { scope } : {}, await options(key)),
  refresh: async ({ token, key }) => openid.refreshTokenGrant(config, token, {}, await options(key)),
  begin: async ({ scope }) => (device = await openid.initiateDeviceAuthorization(config, scope ? { scope } : {})),
  wait: async ({ key }) => openid.pollDeviceAuthorizationGrant(config, device, {}, await options(key)),
  exchange: async ({ subject, actor, scope }) => {
    const kind = "urn:ietf:params:oauth:token-type:access_token";
    return openid.genericGrantRequest(config, "urn:ietf:params:oauth:grant-type:token-exchange", {
      subject_token: subject, subject_token_type: kind, actor_token: actor, actor_token_type: kind,
      ...(scope ? { scope } : {}),
    });
  },
  introspect: async ({ token }) => openid.tokenIntrospection(config, token),
  revoke: async ({ token }) => (await openid.tokenRevocation(config, token), {}),
  show: async ({ token, url, key }) => {
    const sent = await openid.fetchProtectedResource(
      config, token, new URL(url), "GET", undefined, undefined, await options(key));
    return { status: sent.status, body: await sent.json() };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const said = JSON.parse(line);
  // What the server refuses is an answer, too.
  const refusal = (error) =>
    error.error ? { good: { error: error.error, status: error.status, said: error.error_description } }
      : { bad: String(error.stack) + " " + String(error.cause?.stack || "") };
  const answer = await does[said.do](said).then((good) => ({ good }), refusal);
  process.stdout.write(JSON.stringify(answer) + "\n");
}
process.exit(0);
