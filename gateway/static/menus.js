// Menus that open over the page: at most one at a time. A click elsewhere, focus elsewhere, or
// Escape closes it.

const MENUS = "details.menu, details.more";
const opened = () => [...document.querySelectorAll(MENUS)].filter((menu) => menu.open);

export function closeMenus(keeps = () => false) {
  for (const menu of opened()) if (!keeps(menu)) menu.open = false;
}

export function menus() {
  addEventListener("pointerdown", ({ target }) => closeMenus((menu) => menu.contains(target)));
  // A click on the text of a menu gives the focus to the main part, which the menu is in.
  addEventListener("focusin", ({ target }) => closeMenus((menu) => menu.contains(target) || target.contains(menu)));
  addEventListener("keydown", (event) => {
    const [menu] = opened();
    if (event.key !== "Escape" || !menu || document.querySelector("dialog[open]")) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    menu.open = false;
    menu.querySelector("summary").focus();
  }, { capture: true });
}
