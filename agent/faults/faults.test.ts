/** What happens to the store. */
import { testFaults } from './small.ts';
import { storeFaults } from './store-faults.ts';
import { week } from './week-fault.ts';

testFaults([...storeFaults, week]);
