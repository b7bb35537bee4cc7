/** What a person sees when everything is ready. */
import { seconds } from './display.mjs';

export type SummaryOptions = {
  env: Record<string, string>;
  readyMs: number;
  logs: string;
  hasSamples: boolean;
  /** Sample orders keep coming. */
  hasTraffic: boolean;
  /** Who answers, and how it stands; undefined when the chat service could not be asked. */
  model:
    | { provider: string; answers_by: string; state: string; detail: string; mend: string | null }
    | undefined;
  /** Where Postgres keeps its data when that is not in the data folder. */
  postgresHome?: string | undefined;
};

export function summary({
  env,
  readyMs,
  logs,
  hasSamples,
  hasTraffic,
  model,
  postgresHome,
}: SummaryOptions): string {
  const url = env.RAGLINE_URL ?? '';
  const open = [
    `Page        ${url}            Docs  ${url}/docs`,
    `Assistant   ${url}/chat`,
    `Kafka       ${env.KAFKA_BROKERS}   Registry  ${withoutLogin(env.SCHEMA_REGISTRY_URL)}`,
  ];
  const people = [
    'customer@demo.example · staff@demo.example · admin@demo.example',
    'operator@ragline.example (tenant ragline)',
    `password for all:  ${env.RAGLINE_DEMO_PASSWORD}`,
  ];
  const sections = hasSamples
    ? [
        { title: 'Open', lines: open },
        { title: 'Sign in (tenant demo; acme has the same three)', lines: people },
      ]
    : [{ title: 'Open', lines: open }];
  return [
    '',
    ...box(sections),
    '  Next  npx ragline env                       every address and login',
    '        npx ragline doctor                    checks everything again',
    ...(hasTraffic
      ? ['  Staff see a sample order every 10 s; without: RAGLINE_DEMO_TRAFFIC=0 npm start']
      : []),
    ...modelLines(model),
    ...(postgresHome === undefined
      ? []
      : [
          `  Started as root, so Postgres keeps its data in ${postgresHome}/ (npm start -- --reset begins with none)`,
        ]),
    `  Ready in ${longTime(readyMs)}. Ctrl-C stops all and keeps the data. Logs: ${logs}/`,
    '',
  ].join('\n');
}

function modelLines(model: SummaryOptions['model']): string[] {
  if (model === undefined) return [];
  const { provider, answers_by, state, detail, mend } = model;
  const who =
    provider === 'offline'
      ? '  The assistant answers offline (extractive). For a model: OPENAI_API_KEY=… npm start'
      : `  The assistant answers by ${answers_by}`;
  return state === 'ok' ? [who] : [who, `  ! ${detail}. Mend: ${mend ?? 'npx ragline doctor'}`];
}

function box(sections: { title: string; lines: string[] }[]): string[] {
  const width =
    Math.max(...sections.flatMap(({ title, lines }) => [title, ...lines].map((line) => line.length))) + 2;
  const edge = (left: string, title: string, right: string) =>
    `  ${left} ${title} ${'─'.repeat(Math.max(0, width - title.length - 2))}${right}`;
  const drawn = sections.flatMap(({ title, lines }, index) => [
    edge(index === 0 ? '┌' : '├', title, index === 0 ? '┐' : '┤'),
    ...lines.map((line) => `  │ ${line.padEnd(width - 1)}│`),
  ]);
  return [...drawn, `  └${'─'.repeat(width)}┘`];
}

function withoutLogin(address = ''): string {
  try {
    const url = new URL(address);
    return `${url.host}${url.pathname}`;
  } catch {
    return address;
  }
}

/** 112000 → 1 min 52 s */
export function longTime(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  return minutes === 0 ? seconds(ms) : `${minutes} min ${Math.round((ms % 60_000) / 1000)} s`;
}
