package org.cnnexport.bench;

/** How hot the device says it is; both are null where it does not tell. */
interface Thermal {
    /** 0 (none) to 6 (shutdown), Android's {@code THERMAL_STATUS_*}. */
    Integer status();

    /** 1.0 is where severe throttling begins. */
    Float headroom();
}
