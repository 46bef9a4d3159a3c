"""Files, settings, processes, devices. Imports nothing else of ours. `ranks` decides the device."""
