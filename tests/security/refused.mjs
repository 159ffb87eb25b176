// What a JavaScript program hears of a Space whose API is closed. Usage: refused.mjs URL; prints one JSON object.
import { Client } from "@gradio/client";

const client = await Client.connect(process.argv[2], { events: ["data", "status"] });
const said = {};
for (const name of ["mark", "quick"]) {
  try {
    for await (const event of client.submit(`/${name}`, ["JavaScript"])) {
      if (event.type === "data") said[name] = "it ran";
      if (event.type === "status" && event.stage === "error") said[name] = event.message;
      if (event.type === "status" && ["error", "complete"].includes(event.stage)) break;
    }
  } catch (error) {
    said[name] = error?.message ?? JSON.stringify(error);
  }
}
console.log(JSON.stringify(said));
process.exit(0);
