/** A certificate authority for tests, by openssl: certificates that hold, have expired, or do not hold yet. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Issued {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
}

export interface IssueOptions {
  readonly from?: Date;
  readonly until?: Date;
}

const dayMs = 86_400_000;

export class TestAuthority implements AsyncDisposable {
  readonly #folder: string;
  readonly certificate: string;
  #count = 0;

  private constructor(folder: string, certificate: string) {
    this.#folder = folder;
    this.certificate = certificate;
  }

  static async create(): Promise<TestAuthority> {
    const folder = await mkdtemp(join(tmpdir(), 'outpost-ca-'));
    await writeFile(join(folder, 'ca.conf'), configuration(folder));
    await writeFile(join(folder, 'index.txt'), '');
    await writeFile(join(folder, 'serial'), '1000\n');
    await newKey(join(folder, 'ca.key'));
    await run('openssl', [
      'req',
      '-x509',
      '-new',
      '-key',
      join(folder, 'ca.key'),
      '-subj',
      '/CN=Outpost test CA',
      '-days',
      '3650',
      '-out',
      join(folder, 'ca.crt'),
    ]);
    return new TestAuthority(folder, await readFile(join(folder, 'ca.crt'), 'utf8'));
  }

  /** @param name the CN; 127.0.0.1 and localhost are its alternative names */
  async issue(name: string, options: IssueOptions = {}): Promise<Issued> {
    const at = Date.now();
    const { from = new Date(at - dayMs), until = new Date(at + 30 * dayMs) } = options;
    const stem = join(this.#folder, `${(this.#count += 1)}`);
    await newKey(`${stem}.key`);
    await run('openssl', ['req', '-new', '-key', `${stem}.key`, '-subj', `/CN=${name}`, '-out', `${stem}.csr`]);
    await run('openssl', [
      'ca',
      '-batch',
      '-notext',
      '-config',
      join(this.#folder, 'ca.conf'),
      '-in',
      `${stem}.csr`,
      '-out',
      `${stem}.crt`,
      '-startdate',
      asn1Time(from),
      '-enddate',
      asn1Time(until),
    ]);
    return { certificate: await readFile(`${stem}.crt`, 'utf8'), key: await readFile(`${stem}.key`, 'utf8') };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

const newKey = async (path: string): Promise<unknown> =>
  await run('openssl', ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', path]);

/** YYYYMMDDHHMMSSZ */
const asn1Time = (date: Date): string => `${date.toISOString().replaceAll(/[-:T]|\.\d+Z$/g, '')}Z`;

const configuration = (folder: string): string => `
[ca]
default_ca = outpost
[outpost]
dir = ${folder}
database = ${folder}/index.txt
new_certs_dir = ${folder}
certificate = ${folder}/ca.crt
private_key = ${folder}/ca.key
serial = ${folder}/serial
default_md = sha256
unique_subject = no
policy = any
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
subjectAltName = IP:127.0.0.1, DNS:localhost
`;
