/** A real browser: the host's Chrome or Chromium when there is one, else the one that comes as a package. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import packaged from '@sparticuz/chromium';
import { type Browser, chromium } from 'playwright-core';

const names = ['google-chrome-stable', 'google-chrome', 'chromium', 'chromium-browser'];
const macPath = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome';

// The package's defaults are for screenshots: these would switch off what tests of a page are there to prove, or
// put all pages into one process, where one crash takes all.
const unwanted = new Set([
  '--disable-web-security',
  '--allow-running-insecure-content',
  '--disable-site-isolation-trials',
  '--single-process',
  '--no-zygote',
  "--headless='shell'",
]);

/** CHROME_PATH, or what is installed; undefined when nothing is. */
export function installedBrowser(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const folders = (env.PATH ?? '').split(delimiter);
  const found = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  return [env.CHROME_PATH, ...found, macPath].find(
    (path) => path !== undefined && path !== '' && isExecutable(path),
  );
}

export async function browserExecutable(): Promise<string> {
  return installedBrowser() ?? (await packaged.executablePath());
}

/** Launches headless; the caller closes it. */
export async function launchBrowser(): Promise<Browser> {
  const installed = installedBrowser();
  // Chromium's own sandbox refuses to run as root, and needs rights that containers rarely give.
  const args = ['--no-sandbox', '--disable-dev-shm-usage'];
  if (installed !== undefined) return chromium.launch({ executablePath: installed, args });
  const packagedArgs = packaged.args.filter((arg) => !unwanted.has(arg));
  return chromium.launch({
    executablePath: await packaged.executablePath(),
    args: [...args, ...packagedArgs],
  });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
