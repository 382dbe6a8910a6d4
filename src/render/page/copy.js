for (const button of document.querySelectorAll("button.copy")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const command = button.parentElement.querySelector("code");
    // Works without TLS, too, where browsers have no other way to the clipboard.
    const selection = getSelection();
    selection.selectAllChildren(command);
    const copied = document.execCommand("copy");
    button.textContent = copied ? "Copied" : "Press Ctrl-C";
    if (copied) selection.removeAllRanges();
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}
