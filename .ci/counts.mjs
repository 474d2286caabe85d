// Reads a test report: prints "passed failed skipped", zeros when there is none; with --failed what failed, and why.
import { readFileSync } from 'node:fs';

const [path, what] = process.argv.slice(2);
let report = {};
try {
  report = JSON.parse(readFileSync(path, 'utf8'));
} catch {
  // the run did not get far enough to write one
}
const { passed = 0, failed = 0, skipped = 0, failures = [] } = report;
if (what === '--failed') for (const failure of failures) console.log(`failed: ${failure}`);
else console.log(passed, failed, skipped);
