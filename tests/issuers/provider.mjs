// oidc-provider, set up strictly, by https or http on a free port of this machine. It is told what to do on stdin, a line
// of JSON each time, and answers on stdout with one: see oidc_provider.py.
import * as fs from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import * as readline from 'node:readline';
import { pathToFileURL } from 'node:url';

// What it has to say must not come between our answers.
console.info = console.error;
const settings = JSON.parse(process.argv[2]);
const { default: Provider } = await import(pathToFileURL(process.env.OIDC_PROVIDER).href);

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
let life = settings.life;
let granted = {};
let refused = [];
let made = [];
const tokens = new Map();

function program(id, method, secret) {
  return {
    client_id: id,
    client_secret: secret,
    token_endpoint_auth_method: method,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    scope: 'all',
  };
}

const configuration = {
  clients: [
    ...settings.programs.map(([id, method, secret]) => program(id, method, secret)),
    {
      client_id: settings.people,
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token', DEVICE_GRANT],
      redirect_uris: [settings.redirect_uri],
      response_types: ['code'],
      scope: 'openid offline_access all',
    },
    // Whoever protects something with its tokens; it may ask about them, and get none.
    {
      client_id: settings.resource[0],
      client_secret: settings.resource[1],
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: [],
      redirect_uris: [],
      response_types: [],
    },
  ],
  cookies: { keys: [settings.cookies] },
  scopes: ['openid', 'offline_access', 'all'],
  pkce: { required: () => true },
  extraParams: ['audience'],
  rotateRefreshToken: true,
  issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
  expiresWithSession: () => false,
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  ttl: { AccessToken: () => life, ClientCredentials: () => life, DeviceCode: 60, RefreshToken: 3600 },
  features: {
    deviceFlow: { enabled: true },
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
    introspection: {
      enabled: true,
      allowedPolicy: (ctx, client, token) => client.clientId === settings.resource[0] || client.clientId === token.clientId,
    },
    // Clients of Flyte name an audience, as they do to Auth0; here it stands for RFC 8707's resource.
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx, client, several) => several?.[0] ?? ctx.oidc.params?.audience ?? ctx.oidc.body?.audience,
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource) => {
        const accessTokenFormat = settings.structured.includes(resource) ? 'jwt' : 'opaque';
        return { scope: 'all', audience: resource, accessTokenFormat, accessTokenTTL: life };
      },
    },
  },
};

let answer = (request, response) => response.destroy();
const secure = settings.certificate ? { cert: fs.readFileSync(settings.certificate), key: fs.readFileSync(settings.certificate) } : null;
const server = (secure ? https : http).createServer(secure ?? {}, (request, response) => answer(request, response));
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `${secure ? 'https' : 'http'}://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, configuration);
answer = provider.callback();

function grant(ctx) {
  return ctx.oidc?.params?.grant_type ?? ctx.oidc?.body?.grant_type ?? '';
}
provider.on('grant.success', (ctx) => { granted[grant(ctx)] = (granted[grant(ctx)] ?? 0) + 1; });
provider.on('grant.error', (ctx, error) => refused.push([grant(ctx), error.error, error.error_detail ?? error.error_description ?? '']));
provider.on('introspection.error', (ctx, error) => refused.push(['introspection', error.error, error.error_detail ?? '']));
provider.on('revocation.error', (ctx, error) => refused.push(['revocation', error.error, error.error_detail ?? '']));
provider.on('server_error', (ctx, error) => refused.push(['server', String(error), '']));
for (const kind of ['access_token', 'client_credentials', 'refresh_token', 'authorization_code', 'device_code']) {
  provider.on(`${kind}.saved`, (token) => { if (!made.includes(token.jti)) made.push(token.jti); });
}
for (const kind of ['access_token', 'client_credentials', 'refresh_token']) {
  provider.on(`${kind}.saved`, (token) => tokens.set(token.jti, token));
  provider.on(`${kind}.destroyed`, (token) => tokens.delete(token.jti));
}

async function destroy(kinds) {
  for (const token of [...tokens.values()]) {
    if (kinds.includes(token.kind)) {
      tokens.delete(token.jti);
      await token.destroy();
    }
  }
}

const orders = {
  told: () => ({ granted, refused, made }),
  anew: () => { granted = {}; refused = []; made = []; },
  life: ({ seconds }) => { life = seconds; },
  // Tokens are good for nothing any more, refresh tokens still are.
  end: () => destroy(['AccessToken', 'ClientCredentials']),
  // Somebody signed everybody out.
  forget: () => destroy(['AccessToken', 'ClientCredentials', 'RefreshToken']),
  kept: async () => {
    const found = await Promise.all([...tokens.values()].map((token) => provider[token.kind].find(token.jti)));
    return { kinds: found.filter((token) => token && !token.consumed).map((token) => token.kind) };
  },
};

process.stdout.write(`${JSON.stringify({ issuer })}\n`);
for await (const line of readline.createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  const said = await orders[order.do](order);
  process.stdout.write(`${JSON.stringify(said ?? {})}\n`);
}
process.exit(0);
