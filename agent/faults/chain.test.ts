/** What happens between the device and the database. */
import { chainFaults } from './chain-faults.ts';
import { testFaults } from './small.ts';

testFaults(chainFaults);
