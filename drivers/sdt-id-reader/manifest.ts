/** What a reader of resident identity cards tells, and to whom: the citizen's session alone. */
import { z } from 'zod';
import { type Manifest, plainLine } from '../driver.ts';

export const options = z.strictObject({
  reading: z.enum(['asked', 'always']).default('asked').meta({
    title: 'Reading',
    description:
      '`asked`: a card is read only while somebody waits for it (action awaitCard); `always`: each card that is laid down.',
    restart: 'peripheral',
  }),
  photo: z.boolean().default(false).meta({
    title: 'Photo',
    description: 'Hand the photo over too, as the card holds it: compressed by a secret method, never decoded here.',
    restart: 'peripheral',
  }),
  pollEvery: z.int().min(100).max(5_000).default(300).meta({
    title: 'Poll interval',
    description: 'Between two looks for a card, while one is awaited.',
    unit: 'ms',
    restart: 'peripheral',
  }),
});
export type Options = z.infer<typeof options>;

export const documents = ['resident', 'residence-permit', 'foreigner-2017', 'foreigner-2023'] as const;
/** GB/T 2261.1, codes 0, 1, 2, 9. */
export const sexes = ['unknown', 'male', 'female', 'not-stated'] as const;
export const moduleStates = ['ready', 'self-test-failed', 'not-authorised', 'failing'] as const;

const date = z.iso.date();

/** What stands on a card; what it does not have, or what is none of its kind, is absent. */
export const cardSchema = z.strictObject({
  document: z.enum(documents),
  name: z.string().optional(),
  latinName: z.string().optional(),
  sex: z.enum(sexes).optional(),
  /** GB/T 3304, two digits. */
  nation: z.string().optional(),
  nationName: z.string().optional(),
  /** ISO 3166-1, three letters or digits as on the card. */
  nationality: z.string().optional(),
  birth: date.optional(),
  address: z.string().optional(),
  number: z.string(),
  /** By GB 11643: the check digit, and where the number holds it the date of birth. */
  numberIs: z.enum(['right', 'wrong', 'unchecked']),
  issuer: z.string().optional(),
  validFrom: date.optional(),
  validUntil: z.union([date, z.literal('long-term')]).optional(),
  /** Of the permit to travel, on residence permits of Hong Kong, Macao and Taiwan. */
  passNumber: z.string().optional(),
  issues: z.string().optional(),
  newAddress: z.string().optional(),
  /** base64, as the card holds it. */
  photo: z.string().optional(),
});
export type Card = z.infer<typeof cardSchema>;

export const manifest = ({ reading }: Options): Manifest => ({
  name: 'sdt-id-reader',
  title: 'Identity card reader, SDT',
  description: 'Resident identity cards of China, second generation, and the residence permits that are made alike.',
  sources: [
    'GA 450 and GA 467 (SAM_A module), as modules’ makers describe the serial protocol',
    'GA/T 490 (what the card holds), GB 11643-1999 (the number)',
    'Rules for machine reading of the permanent residence card for foreigners, 2017 and 2023',
  ],
  line: { ...plainLine, baudRate: 115_200, answerMs: 1_000, settleMs: 300, silentMs: 90_000 },
  integrity: 'checksum',
  properties: {
    state: { title: 'State of the security module', schema: z.enum(moduleStates), rate: 0.1 },
    waiting: { title: 'A card is awaited', schema: z.boolean(), rate: 1 },
  },
  actions: {
    awaitCard: {
      title: 'Wait for a card',
      description: 'The next card that is laid down within this time is read, once.',
      args: z.strictObject({ seconds: z.int().min(1).max(300).default(30) }),
      deadlineMs: 5_000,
      idempotent: true,
      safety: 'none',
      acknowledgement: 'the module says that it is ready',
      example: { seconds: 30 },
    },
    ...(reading === 'asked' ? { cancel } : {}),
  },
  events: {
    card: { title: 'A card was read', personal: true, data: cardSchema },
    failed: {
      title: 'A card could not be read',
      data: z.strictObject({ step: z.enum(['select', 'read']), reason: z.string() }),
    },
    ...(reading === 'asked' ? { timeUp: { title: 'No card came in time', data: z.strictObject({}) } } : {}),
  },
});

const cancel = {
  title: 'Wait no more',
  args: z.strictObject({}),
  deadlineMs: 5_000,
  idempotent: true,
  safety: 'none',
  acknowledgement: 'the module says that it is ready',
  example: {},
} as const;
