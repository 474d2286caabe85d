/** What the simulated rover says of itself, as messages. */
import type { Fields, Message } from './definitions.ts';
import { motorOutputs } from './enums.ts';
import type { LatLon } from './fence.ts';

export const metresPerDegree = 111_320;

export const local = (start: LatLon, at: LatLon): Fields<'LOCAL_POSITION_NED'> => ({
  time_boot_ms: 0,
  x: (at.latitude - start.latitude) * metresPerDegree,
  y: (at.longitude - start.longitude) * metresPerDegree * Math.cos((at.latitude * Math.PI) / 180),
  z: 0,
  vx: 0,
  vy: 0,
  vz: 0,
});

export function paramValue(autopilot: 'ardupilot' | 'px4', name: string, value: number): Message {
  const view = new DataView(new ArrayBuffer(4));
  // PX4 sends the bits of an integer in the place of the float
  if (autopilot === 'px4') view.setInt32(0, value);
  else view.setFloat32(0, value);
  const type = autopilot === 'px4' ? 6 : 9;
  return {
    name: 'PARAM_VALUE',
    fields: { param_id: name, param_value: view.getFloat32(0), param_type: type, param_count: 900, param_index: 12 },
  };
}

export const sysStatus = (volts: number, centiamps: number, charge: number, isCut: boolean): Message => ({
  name: 'SYS_STATUS',
  fields: {
    onboard_control_sensors_present: motorOutputs | 0x2f,
    onboard_control_sensors_enabled: (isCut ? 0 : motorOutputs) | 0x2f,
    onboard_control_sensors_health: motorOutputs | 0x2f,
    load: 150,
    voltage_battery: Math.round(volts * 1_000),
    current_battery: centiamps,
    battery_remaining: Math.round(charge),
    drop_rate_comm: 0,
    errors_comm: 0,
    errors_count1: 0,
    errors_count2: 0,
    errors_count3: 0,
    errors_count4: 0,
    onboard_control_sensors_present_extended: 0,
    onboard_control_sensors_enabled_extended: 0,
    onboard_control_sensors_health_extended: 0,
  },
});

export const batteryStatus = (volts: number, centiamps: number, charge: number): Message => ({
  name: 'BATTERY_STATUS',
  fields: {
    id: 0,
    battery_function: 1,
    type: 3,
    temperature: 2_500,
    voltages: [Math.round(volts * 1_000), ...Array.from({ length: 9 }, () => 0xffff)],
    current_battery: centiamps,
    current_consumed: 0,
    energy_consumed: -1,
    battery_remaining: Math.round(charge),
    time_remaining: 0,
    charge_state: 1,
    voltages_ext: [0, 0, 0, 0],
    mode: 0,
    fault_bitmask: 0,
  },
});

export const statusText = (text: string): Message => ({
  name: 'STATUSTEXT',
  fields: { severity: 2, text, id: 0, chunk_seq: 0 },
});

export const version: Message = {
  name: 'AUTOPILOT_VERSION',
  fields: {
    capabilities: '000000000000ffff',
    flight_sw_version: 0x0405_07ff,
    middleware_sw_version: 0,
    os_sw_version: 0,
    board_version: 0,
    flight_custom_version: [0, 0, 0, 0, 0, 0, 0, 0],
    middleware_custom_version: [0, 0, 0, 0, 0, 0, 0, 0],
    os_custom_version: [0, 0, 0, 0, 0, 0, 0, 0],
    vendor_id: 0,
    product_id: 0,
    uid: '0000000000001234',
    uid2: Array.from({ length: 18 }, () => 0),
  },
};
