// The same answers as the other peers, by Fastify and undici on one thread:
// node server.js PORT [NAME=URL...]
import Fastify from "fastify";
import { Pool } from "undici";

const [port, ...given] = process.argv.slice(2);
const services = given.map((arg) => {
  const at = arg.indexOf("=");
  const url = new URL(arg.slice(at + 1));
  return {
    key: JSON.stringify(arg.slice(0, at)),
    path: url.pathname + url.search,
    pool: new Pool(url.origin, { connections: 1000, headersTimeout: 10000, bodyTimeout: 10000 }),
  };
});
const app = Fastify({ logger: false });
const message = { type: "object", properties: { message: { type: "string" } } };

app.get("/plaintext", (request, reply) => reply.type("text/plain").send("Hello, World!"));
app.get("/json", { schema: { response: { 200: message } } }, async () => ({
  message: "Hello, World!",
}));

async function part({ key, path, pool }) {
  const { statusCode, body } = await pool.request({ method: "GET", path });
  const text = await body.text();

  if (statusCode !== 200) throw new Error(`${key}: status ${statusCode}`);
  JSON.parse(text);
  return `${key}:${text}`;
}

app.get("/api/all", async (request, reply) => {
  const parts = await Promise.all(services.map(part));

  return reply.type("application/json").send(`{${parts.join(",")}}`);
});

await app.listen({ host: "127.0.0.1", port: Number(port), backlog: 4096 });
