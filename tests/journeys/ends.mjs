// Each way a call of @gradio/client ends, and then other calls of the same client. Usage: ends.mjs URL; prints the name
// of each way whose next calls got their own answers.
import { Client } from "@gradio/client";

const FOREVER = 100000;
const client = await Client.connect(process.argv[2], { events: ["data", "status"] });

async function cancelAfter(job, steps) {
  let seen = 0;
  for await (const event of job) {
    if (event.type === "data" && ++seen === steps) await job.cancel();
    if (event.type === "status" && (event.stage === "complete" || event.stage === "error")) return;
  }
}

const ends = {
  end: () => client.predict("/say", ["first"]),
  error: () => client.predict("/fail", []).catch(() => null),
  cancel: () => cancelAfter(client.submit("/ticks", [FOREVER]), 3),
  "cancel-one-of-two": () => {
    client.submit("/say", ["beside it"]);
    return cancelAfter(client.submit("/ticks", [FOREVER]), 3);
  },
  "at-once": () => Promise.all([..."abcdefgh"].map((word) => client.predict("/say", [word]))),
};

const late = setTimeout(() => process.exit(3), 90000);
for (const [name, end] of Object.entries(ends)) {
  await end();
  for (const word of ["one", "two"]) {
    const answer = (await client.predict("/say", [word])).data[0];
    if (answer !== `said ${word}`) throw new Error(`${name}: ${word} -> ${answer}`);
  }
  console.log(name);
}
clearTimeout(late);
process.exit(0);
