/** Run in a container: who the process of the given id is, what the kernel lets it do, and where it could write. */
import { readFileSync, writeFileSync } from 'node:fs';

const status = readFileSync(`/proc/${process.argv[1]}/status`, 'utf8');
const fieldOf = (name) => new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(status)?.[1];
const canWrite = (folder) => {
  try {
    writeFileSync(`${folder}/written`, '');
    return true;
  } catch {
    return false;
  }
};

console.log(
  JSON.stringify({
    user: fieldOf('Uid'),
    writes: ['/', '/app', '/app/services', '/model', '/etc', '/var/tmp', '/tmp'].filter(canWrite),
    capabilities: fieldOf('CapBnd'),
    gainsNone: fieldOf('NoNewPrivs'),
  }),
);
