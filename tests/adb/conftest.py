from phone.adb_fixture import adb_server, phone, phones

__all__ = ["adb_server", "phone", "phones"]
