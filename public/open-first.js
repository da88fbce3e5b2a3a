// A link from another program leads here before this browser has opened Scholion: do what opening it does, once.
const ONCE = 'scholion-opened';

if (sessionStorage.getItem(ONCE)) {
  document.getElementById('said').replaceChildren();
} else {
  sessionStorage.setItem(ONCE, 'yes');
  await fetch('/auth/header', { method: 'POST' });
  window.location.reload();
}
