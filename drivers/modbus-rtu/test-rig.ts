/** What the tests with other implementations of Modbus share: our driver on one end of a cable, in a session. */
import { silentLog } from '#agent/core/log.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { Bus } from '../bus.ts';
import { clock } from '../conformance/rig.ts';
import { sealed } from '../driver.ts';
import { type OpenedPeripheral, openPeripheral, openPort } from '../open.ts';
import { Session } from '../session.ts';
import { driver } from './driver.ts';

/** Runs `use` when the server at the other end has answered. */
export async function withSession(
  port: string,
  options: ReturnType<typeof driver.options.parse>,
  use: (session: Session, signal: AbortSignal, opened: OpenedPeripheral) => Promise<void>,
  answerMs = 2_000,
): Promise<void> {
  await using transport = await openPort({ is: 'path', path: port }, driver.manifest(options).line, clock);
  using opened = openPeripheral({
    driver: sealed(driver),
    options,
    bus: new Bus(transport, clock),
    clock,
    log: silentLog,
    line: { answerMs },
  });
  const session = new Session({ opened, id: 'peer', clock });
  const { signal } = new AbortController();
  await eventually(async () => await session.open(signal).catch(() => undefined), 'the server answers', 60_000);
  await use(session, signal, opened);
}
