// What a JavaScript program does with the Space of tests/apps/ages. Usage: journey.mjs URL; prints one JSON object.
import { Client } from "@gradio/client";

const url = process.argv[2];
const seen = {};

async function step(name, work) {
  try {
    seen[name] = await work();
  } catch (error) {
    seen[name] = `error: ${error?.message ?? JSON.stringify(error)}`;
  }
}

async function submit(client, endpoint, data) {
  const outputs = [], ranks = new Set();
  for await (const event of client.submit(endpoint, data)) {
    if (event.type === "data") outputs.push(event.data[0]);
    if (event.type === "status" && event.stage === "pending" && event.position !== undefined) ranks.add(event.position);
    if (event.type === "status" && event.stage === "error") throw new Error(event.message);
    if (event.type === "status" && event.stage === "complete") break;
  }
  return { outputs, ranks: [...ranks] };
}

const client = await Client.connect(url, { events: ["data", "status"] });
await step("plain", async () => (await client.predict("/echo", ["Ada"])).data[0]);
await step("generator", async () => (await submit(client, "/count_up", [4])).outputs.at(-1));
await step("state", async () => {
  await client.predict("/remember", []);
  return (await client.predict("/remember", [])).data.at(-1);
});
await step("error", async () => submit(client, "/fail", ["unicorns"]));
await step("upload", async () => (await client.predict("/size", [new Blob([new Uint8Array(30000)])])).data[0]);
await step("position", async () => {
  const jobs = await Promise.all([1, 2, 3].map((n) => submit(client, "/slow", [`s${n}`])));
  return jobs.map((job) => job.outputs[0]);
});
await step("unqueued", async () => (await client.predict("/quick", ["Bob"])).data[0]);
console.log(JSON.stringify(seen));
process.exit(0);
