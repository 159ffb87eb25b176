// A slider beside each field of "What if". The field stays what the form sends, and takes values between the stops.
(() => {
  for (const field of document.querySelectorAll("input[data-stops]")) {
    const stops = field.dataset.stops.split(",");
    const nearest = () => {
      const exact = stops.indexOf(field.value);
      if (exact >= 0) return exact;
      const value = Number(field.value);
      const above = stops.findIndex((stop) => Number(stop) > value);
      return above < 0 ? stops.length - 1 : above;
    };
    const slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: "0", max: String(stops.length - 1), step: "1", value: String(nearest()) });
    slider.setAttribute("aria-label", field.labels[0].textContent);
    const say = () => slider.setAttribute("aria-valuetext", field.value);
    slider.addEventListener("input", () => {
      field.value = stops[slider.value];
      say();
    });
    field.addEventListener("input", () => {
      slider.value = String(nearest());
      say();
    });
    say();
    field.before(slider);
  }
})();
