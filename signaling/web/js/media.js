// @ts-check
// This browser's camera, microphone and screen. Knows nothing of peers; says what went wrong in words a person can act on.

const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const VIDEO = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } };

/** True when this page may ask for a camera at all: browsers hide the whole interface on plain http. */
export const canCapture = Boolean(navigator.mediaDevices?.getUserMedia);

/** True when this browser can share its screen; phones generally can't. */
export const canShareScreen = Boolean(navigator.mediaDevices?.getDisplayMedia);

/** What is left to somebody without a camera, said after the reason. */
const STILL = 'You can still watch and chat.';

/**
 * Explains a failed request for a device.
 * @param {unknown} error From getUserMedia or getDisplayMedia.
 * @param {string} device For example `camera and microphone`.
 * @returns {string} What happened and what to do.
 */
export function explain(error, device) {
  if (!canCapture) return 'Cameras need https or localhost, and this page was opened over plain http.';
  switch (error instanceof Error ? error.name : '') {
    case 'NotAllowedError':
    case 'SecurityError':
      return `Your browser blocked the ${device}. Allow it in the site settings beside the address, then turn it on again.`;
    case 'NotFoundError':
      return `No ${device} was found. Plug one in and turn it on again.`;
    case 'NotReadableError':
    case 'AbortError':
      return `The ${device} is in use by another program. Close that program and turn it on again.`;
    case 'OverconstrainedError':
      return `The ${device} does not offer that setting. Choose a lower one.`;
    default:
      return `The ${device} could not be started (${error}).`;
  }
}

/** Local tracks of a call: at most one microphone, and one picture that is the camera or the screen. */
export class LocalMedia {
  /** @type {MediaStreamTrack | null} */ #audio = null;
  /** @type {MediaStreamTrack | null} */ #camera = null;
  /** @type {MediaStreamTrack | null} */ #screen = null;
  #closed = false;
  /** @type {() => void} */ #changed;

  /** @param {() => void} changed Called whenever a track came, went, or was muted. */
  constructor(changed) {
    this.#changed = changed;
  }

  /** The microphone's track, also while muted. */
  get audio() { return this.#audio; }

  /** The picture to send: the screen while it is shared, else the camera. */
  get video() { return this.#screen ?? this.#camera; }

  get micOn() { return Boolean(this.#audio?.enabled); }
  get cameraOn() { return Boolean(this.#camera); }
  get sharing() { return Boolean(this.#screen); }

  /** True when the picture comes from a camera that faces its user, and should be shown mirrored. */
  get mirrored() {
    return !this.#screen && this.#camera?.getSettings().facingMode !== 'environment';
  }

  /**
   * Opens what was asked for; when only one of the two devices works, that one.
   * @param {{audio: boolean, video: boolean}} want
   * @returns {Promise<string | null>} Null, or what to tell the user.
   */
  async open(want) {
    if (!want.audio && !want.video) return null;
    const device = want.audio && want.video ? 'camera and microphone' : want.video ? 'camera' : 'microphone';
    try {
      await this.#capture(want);
      return null;
    } catch (error) {
      const refused = !canCapture || (error instanceof Error && error.name === 'NotAllowedError');
      if (!refused && want.audio && want.video) return this.#openEither(device, error);
      return `${explain(error, device)} ${STILL}`;
    }
  }

  /**
   * @param {string} device
   * @param {unknown} error Why both together failed.
   */
  async #openEither(device, error) {
    const video = await this.#capture({ audio: false, video: true }).then(() => null, (e) => explain(e, 'camera'));
    const audio = await this.#capture({ audio: true, video: false }).then(() => null, (e) => explain(e, 'microphone'));
    return video && audio ? `${explain(error, device)} ${STILL}` : video ?? audio;
  }

  /** @param {{audio: boolean, video: boolean}} want */
  async #capture(want) {
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: want.audio && AUDIO,
      video: want.video && VIDEO,
    });
    const [audio] = stream.getAudioTracks();
    const [camera] = stream.getVideoTracks();
    if (audio) this.#audio = this.#take(audio);
    if (camera) this.#camera = this.#take(camera);
    this.#changed();
  }

  /**
   * Mutes or unmutes; opens the microphone if there is none yet.
   * @param {boolean} on
   * @returns {Promise<string | null>}
   */
  async setMic(on) {
    if (!this.#audio) return on ? this.open({ audio: true, video: false }) : null;
    // Kept open while muted, so that unmuting is immediate and asks for nothing.
    this.#audio.enabled = on;
    this.#changed();
    return null;
  }

  /**
   * Turns the camera on or off. Off releases the device, so that its light goes out.
   * @param {boolean} on
   * @returns {Promise<string | null>}
   */
  async setCamera(on) {
    if (on && !this.#camera) return this.open({ audio: false, video: true });
    if (!on && this.#camera) {
      this.#camera.stop();
      this.#camera = null;
      this.#changed();
    }
    return null;
  }

  /**
   * Changes to the next camera, on a phone between front and back.
   * @returns {Promise<string | null>}
   */
  async switchCamera() {
    if (!this.#camera) return this.setCamera(true);
    const devices = await navigator.mediaDevices.enumerateDevices();
    const cameras = devices.filter((device) => device.kind === 'videoinput');
    if (cameras.length < 2) return 'This device has only one camera.';
    const { deviceId } = this.#camera.getSettings();
    const next = cameras[(cameras.findIndex((camera) => camera.deviceId === deviceId) + 1) % cameras.length];
    // Phones open only one camera at a time: the old one has to go first.
    this.#camera.stop();
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { ...VIDEO, deviceId: { exact: next.deviceId } } });
      this.#camera = this.#take(stream.getVideoTracks()[0]);
      return null;
    } catch (error) {
      this.#camera = null;
      return explain(error, 'camera');
    } finally {
      this.#changed();
    }
  }

  /**
   * Starts or stops sending the screen in place of the camera.
   * @param {boolean} on
   * @returns {Promise<string | null>}
   */
  async setScreen(on) {
    if (!on) {
      this.#screen?.stop();
      this.#screen = null;
      this.#changed();
      return null;
    }
    if (!canShareScreen) return 'This browser can\'t share its screen from this page.';
    try {
      const stream = await navigator.mediaDevices.getDisplayMedia({ video: true, audio: false });
      // The browser's own "stop sharing" bar ends the track without asking us.
      this.#screen = this.#take(stream.getVideoTracks()[0]);
      this.#changed();
      return null;
    } catch (error) {
      // Closing the picker is a decision, not an error.
      return error instanceof Error && error.name === 'NotAllowedError' ? null : explain(error, 'screen');
    }
  }

  /** Releases every device, also one that the browser is still asking about. */
  close() {
    this.#closed = true;
    for (const track of [this.#audio, this.#camera, this.#screen]) track?.stop();
    this.#audio = this.#camera = this.#screen = null;
    this.#changed();
  }

  /**
   * Takes a new track, and forgets it when it ends from outside: unplugged, taken away in the browser, sharing stopped.
   * @param {MediaStreamTrack} track
   * @returns {MediaStreamTrack | null} Null when the call was hung up while the browser was asking: the device is released.
   */
  #take(track) {
    if (this.#closed) {
      track.stop();
      return null;
    }
    track.addEventListener('ended', () => {
      if (this.#audio === track) this.#audio = null;
      if (this.#camera === track) this.#camera = null;
      if (this.#screen === track) this.#screen = null;
      this.#changed();
    });
    return track;
  }
}
