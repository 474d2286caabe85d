// Reads a test report and prints "passed failed skipped"; zeros when there is none.
import { readFileSync } from 'node:fs';

let report = {};
try {
  report = JSON.parse(readFileSync(process.argv[2], 'utf8'));
} catch {
  // the run did not get far enough to write one
}
const { passed = 0, failed = 0, skipped = 0 } = report;
console.log(passed, failed, skipped);
