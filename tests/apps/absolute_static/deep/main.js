import { word } from "./part.js";

document.getElementById("module").textContent = word;
const answer = await fetch("/data.json");
document.getElementById("fetched").textContent = (await answer.json()).word;
