// Asks before something is done that cannot be undone, and for the reason that is recorded with it.

import { $ } from "./dom.js";

/**
 * Resolves with the reason, or with null where the user declines. `reason`: "required", "optional"
 * or "" for none.
 */
export function confirmed({ title, text, action, danger = false, reason = "" }) {
  const dialog = $("ask-dialog");
  $("ask-title").textContent = title;
  $("ask-text").textContent = text;
  $("ask-reason-field").hidden = !reason;
  $("ask-reason").required = reason === "required";
  $("ask-reason-label").textContent = reason === "required" ? "Reason" : "Reason (optional)";
  $("ask-reason").value = "";
  $("ask-yes").textContent = action;
  $("ask-yes").classList.toggle("danger", danger);
  return new Promise((answered) => {
    const end = (value) => {
      dialog.onclose = null;
      if (dialog.open) dialog.close();
      answered(value);
    };
    $("ask-form").onsubmit = (event) => {
      event.preventDefault();
      end($("ask-reason").value.trim());
    };
    $("ask-no").onclick = () => end(null);
    dialog.onclose = () => end(null);
    dialog.showModal();
    (reason ? $("ask-reason") : $("ask-yes")).focus();
  });
}
