/**
 * The messages of MAVLink that this driver speaks, as the public definitions (minimal.xml, standard.xml, common.xml of
 * github.com/mavlink/mavlink) declare them; types, layout and CRC_EXTRA all come from this table.
 *
 *   declared order --larger types first--> order on the wire --name, types, names--> CRC_EXTRA
 */

type Scalar = 'uint8_t' | 'int8_t' | 'uint16_t' | 'int16_t' | 'uint32_t' | 'int32_t' | 'uint64_t' | 'float' | 'char';
type FieldType = Scalar | `${Scalar}[${number}]`;

interface Definition {
  readonly id: number;
  readonly fields: Readonly<Record<string, FieldType>>;
  /** Added by MAVLink 2: behind the rest, in the order declared, and not in CRC_EXTRA. */
  readonly extensions?: Readonly<Record<string, FieldType>>;
}

const target = { target_system: 'uint8_t', target_component: 'uint8_t' } as const;
const command = {
  command: 'uint16_t',
  param1: 'float',
  param2: 'float',
  param3: 'float',
  param4: 'float',
} as const;
const missionType = { mission_type: 'uint8_t' } as const;

export const definitions = {
  HEARTBEAT: {
    id: 0,
    fields: {
      type: 'uint8_t',
      autopilot: 'uint8_t',
      base_mode: 'uint8_t',
      custom_mode: 'uint32_t',
      system_status: 'uint8_t',
      mavlink_version: 'uint8_t',
    },
  },
  SYS_STATUS: {
    id: 1,
    fields: {
      onboard_control_sensors_present: 'uint32_t',
      onboard_control_sensors_enabled: 'uint32_t',
      onboard_control_sensors_health: 'uint32_t',
      load: 'uint16_t',
      voltage_battery: 'uint16_t',
      current_battery: 'int16_t',
      battery_remaining: 'int8_t',
      drop_rate_comm: 'uint16_t',
      errors_comm: 'uint16_t',
      errors_count1: 'uint16_t',
      errors_count2: 'uint16_t',
      errors_count3: 'uint16_t',
      errors_count4: 'uint16_t',
    },
    extensions: {
      onboard_control_sensors_present_extended: 'uint32_t',
      onboard_control_sensors_enabled_extended: 'uint32_t',
      onboard_control_sensors_health_extended: 'uint32_t',
    },
  },
  PARAM_REQUEST_READ: { id: 20, fields: { ...target, param_id: 'char[16]', param_index: 'int16_t' } },
  PARAM_VALUE: {
    id: 22,
    fields: {
      param_id: 'char[16]',
      param_value: 'float',
      param_type: 'uint8_t',
      param_count: 'uint16_t',
      param_index: 'uint16_t',
    },
  },
  LOCAL_POSITION_NED: {
    id: 32,
    fields: { time_boot_ms: 'uint32_t', x: 'float', y: 'float', z: 'float', vx: 'float', vy: 'float', vz: 'float' },
  },
  GLOBAL_POSITION_INT: {
    id: 33,
    fields: {
      time_boot_ms: 'uint32_t',
      lat: 'int32_t',
      lon: 'int32_t',
      alt: 'int32_t',
      relative_alt: 'int32_t',
      vx: 'int16_t',
      vy: 'int16_t',
      vz: 'int16_t',
      hdg: 'uint16_t',
    },
  },
  MISSION_REQUEST: { id: 40, fields: { ...target, seq: 'uint16_t' }, extensions: missionType },
  MISSION_CURRENT: {
    id: 42,
    fields: { seq: 'uint16_t' },
    extensions: {
      total: 'uint16_t',
      mission_state: 'uint8_t',
      mission_mode: 'uint8_t',
      mission_id: 'uint32_t',
      fence_id: 'uint32_t',
      rally_points_id: 'uint32_t',
    },
  },
  MISSION_REQUEST_LIST: { id: 43, fields: target, extensions: missionType },
  MISSION_COUNT: {
    id: 44,
    fields: { ...target, count: 'uint16_t' },
    extensions: { ...missionType, opaque_id: 'uint32_t' },
  },
  MISSION_CLEAR_ALL: { id: 45, fields: target, extensions: missionType },
  MISSION_ITEM_REACHED: { id: 46, fields: { seq: 'uint16_t' } },
  MISSION_ACK: {
    id: 47,
    fields: { ...target, type: 'uint8_t' },
    extensions: { ...missionType, opaque_id: 'uint32_t' },
  },
  MISSION_REQUEST_INT: { id: 51, fields: { ...target, seq: 'uint16_t' }, extensions: missionType },
  MISSION_ITEM_INT: {
    id: 73,
    fields: {
      ...target,
      seq: 'uint16_t',
      frame: 'uint8_t',
      command: 'uint16_t',
      current: 'uint8_t',
      autocontinue: 'uint8_t',
      param1: 'float',
      param2: 'float',
      param3: 'float',
      param4: 'float',
      x: 'int32_t',
      y: 'int32_t',
      z: 'float',
    },
    extensions: missionType,
  },
  COMMAND_INT: {
    id: 75,
    fields: {
      ...target,
      frame: 'uint8_t',
      ...command,
      current: 'uint8_t',
      autocontinue: 'uint8_t',
      x: 'int32_t',
      y: 'int32_t',
      z: 'float',
    },
  },
  COMMAND_LONG: {
    id: 76,
    fields: { ...target, ...command, confirmation: 'uint8_t', param5: 'float', param6: 'float', param7: 'float' },
  },
  COMMAND_ACK: {
    id: 77,
    fields: { command: 'uint16_t', result: 'uint8_t' },
    extensions: { progress: 'uint8_t', result_param2: 'int32_t', ...target },
  },
  BATTERY_STATUS: {
    id: 147,
    fields: {
      id: 'uint8_t',
      battery_function: 'uint8_t',
      type: 'uint8_t',
      temperature: 'int16_t',
      voltages: 'uint16_t[10]',
      current_battery: 'int16_t',
      current_consumed: 'int32_t',
      energy_consumed: 'int32_t',
      battery_remaining: 'int8_t',
    },
    extensions: {
      time_remaining: 'int32_t',
      charge_state: 'uint8_t',
      voltages_ext: 'uint16_t[4]',
      mode: 'uint8_t',
      fault_bitmask: 'uint32_t',
    },
  },
  AUTOPILOT_VERSION: {
    id: 148,
    fields: {
      capabilities: 'uint64_t',
      flight_sw_version: 'uint32_t',
      middleware_sw_version: 'uint32_t',
      os_sw_version: 'uint32_t',
      board_version: 'uint32_t',
      flight_custom_version: 'uint8_t[8]',
      middleware_custom_version: 'uint8_t[8]',
      os_custom_version: 'uint8_t[8]',
      vendor_id: 'uint16_t',
      product_id: 'uint16_t',
      uid: 'uint64_t',
    },
    extensions: { uid2: 'uint8_t[18]' },
  },
  STATUSTEXT: {
    id: 253,
    fields: { severity: 'uint8_t', text: 'char[50]' },
    extensions: { id: 'uint16_t', chunk_seq: 'uint8_t' },
  },
} as const satisfies Record<string, Definition>;

type Definitions = typeof definitions;
export type MessageName = keyof Definitions;

/** uint64 is sixteen hexadecimal digits: a number would lose some. */
type Value<T> = T extends `char[${number}]` | 'uint64_t'
  ? string
  : T extends `${string}[${number}]`
    ? readonly number[]
    : number;
type Values<F> = { readonly [K in keyof F]: Value<F[K]> };
type Extensions<D> = D extends { readonly extensions: infer E } ? Values<E> : unknown;

/** The fields of a message, with their names in the definitions. */
export type Fields<N extends MessageName> = Values<Definitions[N]['fields']> & Extensions<Definitions[N]>;
export type Message = { [N in MessageName]: { readonly name: N; readonly fields: Fields<N> } }[MessageName];

export interface Place {
  readonly name: string;
  readonly type: Scalar;
  /** Elements of an array; absent for a single value. */
  readonly length?: number;
  readonly offset: number;
}

export interface Layout {
  readonly id: number;
  readonly name: MessageName;
  readonly places: readonly Place[];
  /** Of the payload before its trailing zeros are cut. */
  readonly bytes: number;
  readonly crcExtra: number;
}

export const sizes: Readonly<Record<Scalar, number>> = {
  uint64_t: 8,
  float: 4,
  uint32_t: 4,
  int32_t: 4,
  uint16_t: 2,
  int16_t: 2,
  uint8_t: 1,
  int8_t: 1,
  char: 1,
};

/** mavlink.io/en/guide/serialization.html, "Field reordering" and "CRC_EXTRA calculation". */
function layoutOf(name: MessageName): Layout {
  const { id, fields, extensions = {} }: Definition = definitions[name];
  const basic = fieldsOf(fields).toSorted((a, b) => sizes[b.type] - sizes[a.type]);
  let offset = 0;
  const places: Place[] = [];
  for (const field of [...basic, ...fieldsOf(extensions)]) {
    places.push({ ...field, offset });
    offset += sizes[field.type] * (field.length ?? 1);
  }
  return { id, name, places, bytes: offset, crcExtra: crcExtraOf(name, basic) };
}

type Field = Omit<Place, 'offset'>;

const fieldsOf = (fields: Readonly<Record<string, FieldType>>): Field[] =>
  Object.entries(fields).map(([name, type]) => {
    const [, scalar, length] = /^(\w+)(?:\[(\d+)\])?$/.exec(type) as unknown as [string, Scalar, string | undefined];
    return { name, type: scalar, ...(length === undefined ? {} : { length: Number(length) }) };
  });

function crcExtraOf(name: string, fields: readonly Field[]): number {
  let crc = checksum(Buffer.from(`${name} `));
  for (const field of fields) {
    crc = checksum(Buffer.from(`${field.type} ${field.name} `), crc);
    if (field.length !== undefined) crc = checksum([field.length], crc);
  }
  return (crc & 0xff) ^ (crc >> 8);
}

/** CRC-16/MCRF4XX, which MAVLink calls X.25. */
export function checksum(bytes: Iterable<number>, start = 0xffff): number {
  let crc = start;
  for (const byte of bytes) {
    let mixed = byte ^ (crc & 0xff);
    mixed = (mixed ^ (mixed << 4)) & 0xff;
    crc = ((crc >> 8) ^ (mixed << 8) ^ (mixed << 3) ^ (mixed >> 4)) & 0xffff;
  }
  return crc;
}

export const layouts: readonly Layout[] = (Object.keys(definitions) as MessageName[]).map(layoutOf);
export const layoutById: ReadonlyMap<number, Layout> = new Map(layouts.map((layout) => [layout.id, layout]));
export const layoutByName = Object.fromEntries(layouts.map((layout) => [layout.name, layout])) as Readonly<
  Record<MessageName, Layout>
>;
