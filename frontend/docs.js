/** The API reference: a button below each command, which copies it. */

const LABEL = 'Copy';
const COPIED_MS = 2000;

for (const block of document.querySelectorAll('pre[aria-label^="curl: "], pre[aria-label="the two variables"]')) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'button button-small copy';
  button.textContent = LABEL;
  button.setAttribute('aria-live', 'polite');
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(block.textContent);
      button.textContent = 'Copied';
    } catch {
      getSelection().selectAllChildren(block); // without permission, or over plain HTTP
      button.textContent = 'Selected';
    }
    setTimeout(() => { button.textContent = LABEL; }, COPIED_MS);
  });
  block.after(button);
}
