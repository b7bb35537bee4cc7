/* global Scalar */
Scalar.createApiReference('#reference', {
  url: '/openapi.json',
  // Nothing from elsewhere: no fonts, no proxy, no telemetry, no assistant of others.
  withDefaultFonts: false,
  proxyUrl: '',
  telemetry: false,
  agent: { disabled: true },
  mcp: { disabled: true },
  showDeveloperTools: 'never',
  hideClientButton: true,
});
