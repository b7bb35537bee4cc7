/**
 * Mends one fault of @platformatic/kafka 2.12.1, once, when this file is first imported.
 *
 * A connection that breaks while it logs in reports the break twice: by its socket, and by the login that was
 * pending. The library listens once, so the second `error` event has no listener and would end the process. Who
 * waits for the connection has the error from its callback in any case.
 */
import { EventEmitter } from 'node:events';
import { instancesChannel } from '@platformatic/kafka';

instancesChannel.subscribe((message) => {
  if (typeof message !== 'object' || message === null) return;
  if (!('type' in message && 'instance' in message) || message.type !== 'connection') return;
  if (message.instance instanceof EventEmitter) message.instance.on('error', () => {});
});
