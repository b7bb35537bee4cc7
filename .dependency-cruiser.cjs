/**
 * The directions of imports, as drawn in docs/architecture.md. Checked by `npm run imports` and `npm test`.
 * Test files are free: they may reach for tests/support and for any part that they put together.
 */
const ours = '^(packages|schemas|services|connectors|infra|tools|tests)/';
// Beside the code: tests, and the scenes that several of them share.
const test = '\\.(test|support|scene)\\.ts$|/(?:bench|eval)/|/(testing|record-tap)\\.ts$|^tests/';

/** A folder whose code may import, of ours, itself and the given others. */
const only = (folder, others, comment) => ({
  name: `imports-of-${folder.replaceAll('/', '-')}`,
  comment,
  severity: 'error',
  from: { path: `^${folder}/`, pathNot: test },
  to: { path: ours, pathNot: [folder, ...others].map((name) => `^${name}/`) },
});

module.exports = {
  forbidden: [
    only('packages/runtime', [], 'The ground that all stand on imports nothing of ours.'),
    only('schemas', [], 'Schemas describe what travels; they know nobody who sends or reads it.'),
    only('packages/web', ['packages/runtime'], 'HTTP knows no database and no broker.'),
    only('packages/streams', ['packages/runtime', 'schemas'], 'Kafka knows no HTTP and no service.'),
    only('packages/postgres', ['packages/runtime', 'schemas'], 'Postgres knows no HTTP and no service.'),
    {
      name: 'a-service-is-an-island',
      comment: "A service never imports another's code: it asks by HTTP or reads its events.",
      severity: 'error',
      from: { path: '^services/([^/]+)/', pathNot: test },
      to: { path: '^services/', pathNot: '^services/$1/' },
    },
    {
      name: 'nothing-imports-tools-or-tests',
      comment: 'What runs in production does not need what develops and starts it.',
      severity: 'error',
      from: { path: '^(packages|schemas|services|connectors)/', pathNot: test },
      to: { path: '^(tools|tests|infra)/' },
    },
    {
      name: 'code-does-not-need-its-tests',
      severity: 'error',
      from: { pathNot: test },
      to: { path: test },
    },
    {
      name: 'tools-do-not-import-tests',
      severity: 'error',
      from: { path: '^(tools|infra)/', pathNot: test },
      to: { path: '^tests/' },
    },
    {
      name: 'no-cycles',
      comment: 'Modules that need each other are one module. Types alone may point back.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'found',
      comment: 'Every import leads somewhere.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'declared',
      comment: 'What a package needs to run stands in its package.json under dependencies.',
      severity: 'error',
      from: { path: '^(packages|schemas|services)/', pathNot: test },
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'],
        dependencyTypesNot: ['type-only', 'npm'],
      },
    },
  ],
  options: {
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    // Browser code has its own world.
    exclude: { path: '/page/|[.]d[.]m?ts$' },
    combinedDependencies: true,
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json', '.d.ts'],
    },
  },
};
