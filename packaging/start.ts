/** The program of the single binary: says where its files are, then is main.ts. */
import './install.ts';
import '#agent/main.ts';
