// Looks rows up in the table that the page carries; every number and sentence in it was made by the
// package. Without this script the page shows the main settings as a table.
(function () {
  "use strict";
  var data = JSON.parse(document.getElementById("grid").textContent);
  var form = document.getElementById("assumptions");

  function chosen(axis) {
    var control = form.elements[axis];
    return control.type === "range" ? control.dataset.values.split("|")[Number(control.value)] : control.value;
  }

  function show() {
    var state = {};
    data.axes.forEach(function (axis) {
      state[axis] = chosen(axis);
      var words = data.says[axis][state[axis]];
      document.getElementById("says-" + axis).textContent = words.says;
      var control = form.elements[axis];
      if (control.type === "range") {
        control.setAttribute("aria-valuetext", words.label);
        control.parentNode.querySelector("output").textContent = words.label;
      }
    });
    var level = data.levels[[state.reference, state.control, state.rho].join("|")];
    var row = data.rows[[state.few, state.average, state.weights, state.baseline, level].join("|")];
    ["mean", "customers", "plain", "midpoint", "bounds"].forEach(function (name) {
      document.getElementById("out-" + name).textContent = row[name];
    });
    ["plain", "midpoint", "bounds"].forEach(function (name) {
      var bar = document.getElementById("bar-" + name), ends = row.bars[name];
      bar.setAttribute("visibility", ends ? "visible" : "hidden");
      if (!ends) { return; }
      bar.querySelector("rect").setAttribute("x", ends[0]);
      bar.querySelector("rect").setAttribute("width", ends[1]);
      var dot = bar.querySelector("circle");
      if (dot) { dot.setAttribute("cx", ends[2]); }
    });
    document.getElementById("summary").textContent = row.summary;
    form.dataset.shown = [state.few, state.average, state.weights, state.baseline, level].join("|");
  }

  form.addEventListener("input", show);
  form.addEventListener("reset", function () { window.setTimeout(show, 0); });
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  form.hidden = false;
  show();
})();
