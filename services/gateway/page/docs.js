/* global Scalar */
Scalar.createApiReference('#reference', {
  sources: [
    { title: 'Requests', slug: 'requests', url: '/openapi.json', default: true },
    { title: 'Topics and sockets', slug: 'events', url: '/asyncapi.json' },
  ],
  // Nothing from elsewhere: no fonts, no proxy, no telemetry, no assistant of others.
  withDefaultFonts: false,
  proxyUrl: '',
  telemetry: false,
  agent: { disabled: true },
  mcp: { disabled: true },
  showDeveloperTools: 'never',
  hideClientButton: true,
});

// Its buttons to copy have a picture alone.
const unnamed = 'button.group\\/copy-button:not([aria-label])';
const nameButtons = () => {
  for (const button of document.querySelectorAll(unnamed)) button.setAttribute('aria-label', 'Copy');
};
new MutationObserver(nameButtons).observe(document.body, { childList: true, subtree: true });
