/** Embeds one text with the model in EMBEDDING_MODEL_DIR, as a process of its own. */
import { createLogger } from '@ragline/runtime/logger';
import { createMiniLm } from './minilm.ts';

const folder = process.env.EMBEDDING_MODEL_DIR ?? '';
const embedder = createMiniLm({ folder, log: createLogger({ service: 'test', level: 'error' }) });
const [vector] = await embedder.embed(['a text']);
process.stdout.write(`${vector?.length}\n`);
await embedder.stop();
